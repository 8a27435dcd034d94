import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * One real node in this JVM. Each -Dnode.set.NAME=VALUE is the node's setting NAME; the arguments are the runner's own.
 *
 * The runner has a main of its own, which hides why a start failed and refuses most ports.
 */
public class SearchNode {
    private static final String SETTING = "node.set.";

    public static void main(String[] args) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.setMaxHttpPort(-1);
        runner.onBuild((number, settings) -> System.getProperties().stringPropertyNames().stream()
            .filter(name -> name.startsWith(SETTING))
            .forEach(name -> settings.put(name.substring(SETTING.length()), System.getProperty(name))));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        try {
            runner.build(args);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1);
        }
        System.out.println("READY");
        Thread.currentThread().join();
    }
}
