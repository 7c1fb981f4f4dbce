package pointsman;

import java.util.Collection;
import org.apache.flink.state.rocksdb.RocksDBOptionsFactory;
import org.rocksdb.ColumnFamilyOptions;
import org.rocksdb.DBOptions;

/**
 * Bounds the log of what RocksDB's files hold (MANIFEST), for which Flink has no setting of its own
 * ({@code state.backend.rocksdb.options-factory}).
 *
 * <p>Each checkpoint appends to that log and copies all of it, and RocksDB begins a new one at a gigabyte: after a day of
 * checkpoints each second, all of them would write 155 MB that say nothing new (docs/adr/0028-state-on-disk.md).
 */
public final class BoundedManifest implements RocksDBOptionsFactory {
    /** Room for the names of 1,500 files, which is what a new log begins with: six gigabytes of an operator's state. */
    private static final long AT_MOST_BYTES = 256 * 1024;

    private static final long serialVersionUID = 1L;

    @Override
    public DBOptions createDBOptions(DBOptions options, Collection<AutoCloseable> toClose) {
        return options.setMaxManifestFileSize(AT_MOST_BYTES);
    }

    @Override
    public ColumnFamilyOptions createColumnOptions(ColumnFamilyOptions options, Collection<AutoCloseable> toClose) {
        return options;
    }
}
