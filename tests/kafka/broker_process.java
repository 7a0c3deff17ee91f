import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import kafka.server.ControllerServer;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import kafka.tools.StorageTool;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.common.utils.Time;
import scala.Option;

/**
 * Runs one Kafka broker and controller for as long as its standard input stays open.
 *
 * <p>{@code java -cp 'libs/*' broker_process.java DIRECTORY}, where DIRECTORY holds
 * {@code server.properties}. It belongs to this process and is removed at its end, unless the
 * broker ended by itself. What is stored in {@code log.dirs} already is served again. The line
 * {@code ready} on standard output says that the broker answers.
 */
final class BrokerProcess {
    private BrokerProcess() {}

    public static void main(String[] args) throws IOException {
        Path directory = Path.of(args[0]).toAbsolutePath();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> killThisAndRemove(directory)));
        Exit.setExitProcedure((status, message) -> endByItself(status));
        Exit.setHaltProcedure((status, message) -> endByItself(status));

        // A process that is killed cannot end its children, but the kernel closes its pipes.
        Thread ending = new Thread(BrokerProcess::exitAtEndOfInput, "end-of-input");
        ending.setDaemon(true);
        ending.start();

        try {
            KafkaRaftServer server = startServer(directory.resolve("server.properties"));
            System.out.println("ready");
            server.awaitShutdown();
        } catch (Throwable failure) {
            failure.printStackTrace();
            endByItself(1);
        }
    }

    /** Past the shutdown hook: whoever started this broker may start it again on what it has stored. */
    private static void endByItself(int status) {
        Runtime.getRuntime().halt(status);
    }

    private static KafkaRaftServer startServer(Path file) throws Exception {
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            properties.load(reader);
        }
        boolean stored = Files.exists(Path.of(properties.getProperty("log.dirs"), "meta.properties"));
        if (!stored) {
            String cluster = Uuid.randomUuid().toString();
            String[] format = {"format", "--cluster-id", cluster, "--config", file.toString()};
            if (StorageTool.execute(format, System.err) != 0) {
                throw new IllegalStateException("the storage could not be formatted");
            }
        }
        if (stored) {
            awaitFenced(properties);
        }
        KafkaRaftServer server = new KafkaRaftServer(new KafkaConfig(properties), Time.SYSTEM);
        server.startup();
        return server;
    }

    /**
     * Runs the controller alone until it knows that its broker was away, as the controllers of a cluster do of one that
     * is started again after a while.
     *
     * <p>Else it begins as the leader of all that it led when it was killed, its coordinator goes on with what was open,
     * and then it is registered anew, and for a moment nothing has a leader. A Kafka 4.3 takes partitions without a
     * leader for deleted ones, and ends transactions there without a marker.
     */
    private static void awaitFenced(Properties properties) throws Exception {
        Properties alone = new Properties();
        alone.putAll(properties);
        alone.setProperty("process.roles", "controller");
        alone.setProperty("broker.session.timeout.ms", "500");
        alone.setProperty("broker.heartbeat.interval.ms", "100");
        alone.remove("advertised.listeners");
        alone.remove("inter.broker.listener.name");
        String[] listeners = properties.getProperty("listeners").split(",");
        alone.setProperty("listeners", listeners[listeners.length - 1]);
        KafkaRaftServer server = new KafkaRaftServer(new KafkaConfig(alone), Time.SYSTEM);
        server.startup();
        Field controller = KafkaRaftServer.class.getDeclaredField("controller");
        controller.setAccessible(true);
        var running = (ControllerServer) ((Option<?>) controller.get(server)).get();
        int broker = Integer.parseInt(properties.getProperty("node.id"));
        while (!running.metadataCache().isBrokerFenced(broker)) {
            Thread.sleep(10);
        }
        server.shutdown();
        server.awaitShutdown();
    }

    private static void exitAtEndOfInput() {
        try (InputStream input = System.in) {
            while (input.read() >= 0) {}
        } catch (IOException closed) {
            // The same end.
        }
        System.err.println("the input has ended");
        System.exit(0);
    }

    /** A broker that still runs writes files behind the removal's back, so it is killed first. */
    private static void killThisAndRemove(Path directory) {
        String self = Long.toString(ProcessHandle.current().pid());
        String script = "kill -9 \"$0\"; rm -rf \"$1\"";
        try {
            new ProcessBuilder("sh", "-c", script, self, directory.toString()).start().waitFor();
        } catch (IOException | InterruptedException failure) {
            failure.printStackTrace();
        }
    }
}
