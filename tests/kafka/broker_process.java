import java.io.IOException;
import java.io.InputStream;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import kafka.server.KafkaConfig;
import kafka.server.KafkaRaftServer;
import kafka.tools.StorageTool;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.common.utils.Time;

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
        if (!Files.exists(Path.of(properties.getProperty("log.dirs"), "meta.properties"))) {
            String cluster = Uuid.randomUuid().toString();
            String[] format = {"format", "--cluster-id", cluster, "--config", file.toString()};
            if (StorageTool.execute(format, System.err) != 0) {
                throw new IllegalStateException("the storage could not be formatted");
            }
        }
        KafkaRaftServer server = new KafkaRaftServer(new KafkaConfig(properties), Time.SYSTEM);
        server.startup();
        return server;
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
