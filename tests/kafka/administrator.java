import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AccessControlEntryFilter;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.utils.Exit;
import org.apache.kafka.tools.AclCommand;

/**
 * Administers users and rights for as long as its standard input stays open, in one Java for all.
 *
 * <p>{@code java -cp 'libs/*' administrator.java BOOTSTRAP}. A line of standard input is a command
 * and its arguments, parted by tabs; it is answered by any number of lines and then {@code done} or
 * {@code failed:} and why.
 */
final class Administrator {
    private final Admin admin;
    private final PrintStream answers;

    private Administrator(Admin admin, PrintStream answers) {
        this.admin = admin;
        this.answers = answers;
    }

    public static void main(String[] args) throws IOException {
        // The tool's own words go to standard error, so that they are not taken for an answer.
        PrintStream answers = System.out;
        System.setOut(System.err);
        Exit.setExitProcedure((status, message) -> {
            throw new IllegalStateException("the tool ended with " + status);
        });
        var commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", args[0]))) {
            var administrator = new Administrator(admin, answers);
            for (String line = commands.readLine(); line != null; line = commands.readLine()) {
                answers.println(administrator.answer(line.split("\t", -1)));
                answers.flush();
            }
        }
    }

    private String answer(String[] words) {
        String[] arguments = Arrays.copyOfRange(words, 1, words.length);
        try {
            switch (words[0]) {
                case "user" -> user(arguments[0], arguments[1]);
                case "kafka-acls" -> AclCommand.main(arguments);
                case "list" -> bindings(arguments[0]).forEach(binding -> answers.println(line(binding)));
                case "remove" -> remove(binding(arguments));
                case "add" -> add(binding(arguments));
                default -> throw new IllegalArgumentException("unknown command " + words[0]);
            }
            return "done";
        } catch (Exception | Error failure) {
            failure.printStackTrace();
            return "failed: " + failure;
        }
    }

    private void user(String name, String password) throws Exception {
        var iterations = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096);
        var credential = new UserScramCredentialUpsertion(name, iterations, password);
        admin.alterUserScramCredentials(List.of(credential)).all().get();
        while (!admin.describeUserScramCredentials().users().get().contains(name)) {
            Thread.sleep(10);
        }
    }

    private Collection<AclBinding> bindings(String principal) throws Exception {
        var entries = new AccessControlEntryFilter(principal, null, AclOperation.ANY, AclPermissionType.ANY);
        return admin.describeAcls(new AclBindingFilter(ResourcePatternFilter.ANY, entries)).values().get();
    }

    /** The broker answers from the rights that it goes by, so that afterwards the change is in force. */
    private void remove(AclBinding binding) throws Exception {
        admin.deleteAcls(List.of(binding.toFilter())).all().get();
        while (!admin.describeAcls(binding.toFilter()).values().get().isEmpty()) {
            Thread.sleep(10);
        }
    }

    private void add(AclBinding binding) throws Exception {
        admin.createAcls(List.of(binding)).all().get();
        while (admin.describeAcls(binding.toFilter()).values().get().isEmpty()) {
            Thread.sleep(10);
        }
    }

    private static String line(AclBinding binding) {
        ResourcePattern on = binding.pattern();
        AccessControlEntry entry = binding.entry();
        return String.join("\t", entry.principal(), entry.operation().name(), on.resourceType().name(), on.name(),
                on.patternType().name());
    }

    private static AclBinding binding(String[] words) {
        var entry = new AccessControlEntry(words[0], "*", AclOperation.valueOf(words[1]), AclPermissionType.ALLOW);
        var pattern = new ResourcePattern(ResourceType.valueOf(words[2]), words[3], PatternType.valueOf(words[4]));
        return new AclBinding(pattern, entry);
    }
}
