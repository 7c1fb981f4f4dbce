package pointsman;

import java.lang.instrument.Instrumentation;
import java.util.List;
import pemja.core.PythonInterpreter;
import pemja.core.PythonInterpreterConfig;

/**
 * Agent of a TaskManager's JVM ({@code -javaagent}): starts Python and imports what PyFlink needs before a job asks for
 * it, so that a spare TaskManager takes a job over without the seconds that takes.
 *
 * <p>Thread mode has one interpreter per JVM, and all operators of all jobs share its modules. So only what stays the same
 * from job to job is imported: third parties, and nothing that travels with a job.
 *
 * <p>The system property {@code pointsman.warm.python} names the interpreter, as {@code python.executable} does to Flink.
 */
public final class WarmPython {
    /** What takes long of what the router's operators import. */
    private static final List<String> MODULES = List.of(
            "pyflink.fn_execution.embedded.operation_utils",
            "jinja2",
            "jsonschema_rs",
            "numpy",
            "opentelemetry.sdk.trace",
            "prometheus_client",
            "pydantic_settings",
            "ruamel.yaml",
            "stamina",
            "structlog");

    /** A JVM that has a job to start does that first, and so does another one on the same processors. */
    private static final long AFTER_MS = 8_000;

    private WarmPython() {}

    /** Called by the JVM before {@code main}. */
    public static void premain(String arguments, Instrumentation instrumentation) {
        Thread thread = new Thread(WarmPython::warm, "warm-python");
        thread.setDaemon(true);
        thread.start();
    }

    private static void warm() {
        PythonInterpreterConfig config = PythonInterpreterConfig.newBuilder()
                .setPythonExec(System.getProperty("pointsman.warm.python", "python"))
                .setExcType(PythonInterpreterConfig.ExecType.MULTI_THREAD)
                .build();
        try {
            Thread.sleep(AFTER_MS);
            try (PythonInterpreter python = new PythonInterpreter(config)) {
                python.exec("import " + String.join(", ", MODULES));
            }
            System.err.println("Python is warm: a job that comes here need not wait for its start");
        } catch (InterruptedException stopping) {
            Thread.currentThread().interrupt();
        } catch (RuntimeException | LinkageError error) {
            // A job says itself what is wrong with its Python; a TaskManager must not end for it here.
            System.err.println("Python is not warm, so a job that comes here starts some seconds later: " + error);
        }
    }
}
