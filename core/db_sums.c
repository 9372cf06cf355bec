#include "db_sums.h"

#include <endian.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "checksum.h"
#include "log.h"

static const char layer_name[] = "kvs-sums";

/* Places in the files, from SQLite's description of its format. */
enum {
    HEADER = 100,
    HEADER_RESERVE = 20,
    HEADER_VERSION = 60,
    HEADER_APPLICATION = 68,
    LOG_HEADER = 32,
    LOG_HEADER_SUM = 24,
    FRAME_HEADER = 24,
    FRAME_SUM = 16
};

/* The first format whose pages have checksums. */
enum { FORMAT_SUMS = 3 };

struct file {
    sqlite3_file base;  /* first: what SQLite sees */
    sqlite3_file *real; /* the layer below; its memory is behind this struct */
    struct file *main;  /* of a log: the database that it belongs to; NULL for a database */
    /* Of a database: */
    bool stamp;   /* pages written get their checksum */
    bool compare; /* pages read are compared with it */
    bool converting, lenient;
    bool checkpoint;   /* one is under way */
    uint32_t log_page; /* number of the page that it has read from the log last */
    /*
     * Of a log: within a transaction a page may be written again in its place, and the checksums behind it put right at the
     * commit; frames from here on are not compared by who wrote them.
     */
    sqlite3_int64 unsure;
    sqlite3_int64 announced; /* the frame whose header was written last, and nothing behind it; -1: none */
};

static struct file *file_of(sqlite3_file *f)
{
    return (struct file *)(void *)f;
}

static uint32_t big_endian(const unsigned char *p)
{
    uint32_t n;
    memcpy(&n, p, sizeof n);
    return be32toh(n);
}

static int damaged(const struct file *database, const char *what, sqlite3_int64 number, const char *why)
{
    if (database->lenient)
        return SQLITE_OK;
    log_line(LOG_ERROR, "database: %s %lld %s", what, (long long)number, why);
    return SQLITE_CORRUPT;
}

/* --- The database's pages --- */

/*
 * The header, wherever it passes by, tells whether there are checksums.  It never turns them off again.  Where the engine
 * looks at the header alone it is not judged: it may have been torn in a checkpoint, and the log has the page whole.
 */
static int notice_header(struct file *f, const unsigned char *header, bool judge)
{
    if (memcmp(header, "SQLite format 3", 16))
        return SQLITE_OK;
    bool sums = header[HEADER_RESERVE] == DB_SUMS_RESERVE;
    bool ours = big_endian(header + HEADER_APPLICATION) == DB_SUMS_APPLICATION;
    if (judge && !sums && ours && big_endian(header + HEADER_VERSION) >= FORMAT_SUMS)
        return damaged(f, "page", 1, "denies that pages have checksums: it is damaged");
    f->stamp |= sums;
    f->compare |= sums && !f->converting;
    return SQLITE_OK;
}

static uint64_t sum_of(const unsigned char *page, sqlite3_int64 number)
{
    return checksum_page(page, DB_SUMS_PAGE - DB_SUMS_RESERVE, (uint64_t)number);
}

static bool is_page(int n, sqlite3_int64 at)
{
    return n == DB_SUMS_PAGE && at % DB_SUMS_PAGE == 0;
}

/*
 * Another program (sqlite3, say) that moves the log into the database leaves there what the log held, and a page in memory has this in its
 * checksum's place; a new one, zeros.  Such a page cannot be compared, but is no damage.
 */
static const unsigned char unstamped[DB_SUMS_RESERVE] = "unstampe";

static bool is_zero(const unsigned char *p, size_t n)
{
    while (n && *p == 0)
        p++, n--;
    return n == 0;
}

static unsigned two_bytes(const unsigned char *p)
{
    return p[0] * 256U + p[1];
}

/* Whether each cell of a tree's page begins as one can: with its size, or the page below it.  A lost sector does not. */
static bool has_sound_cells(const unsigned char *page, const unsigned char *tree)
{
    enum {
        COUNT = 3,
        LEAF = 8,
        LEAF_CELLS = 8,
        INNER_CELLS = 12
    }; /* places in a tree's page, a flag of its first byte */
    bool leaf = tree[0] & LEAF;
    const unsigned char *cells = tree + (leaf ? LEAF_CELLS : INNER_CELLS);

    for (unsigned n = two_bytes(tree + COUNT); n; n--, cells += 2) {
        if (cells + 2 > page + DB_SUMS_PAGE || two_bytes(cells) > DB_SUMS_PAGE - DB_SUMS_RESERVE - 4)
            return false;
        if (is_zero(page + two_bytes(cells), leaf ? 1 : 4))
            return false;
    }
    return true;
}

/* What is taken for the rest of a long value begins with a zero, and has the checksum of its row. */
static bool is_unstamped(const unsigned char *page, sqlite3_int64 number)
{
    const unsigned char *stamp = page + DB_SUMS_PAGE - DB_SUMS_RESERVE;
    const unsigned char *tree = number == 1 ? page + HEADER : page;

    if (memcmp(stamp, unstamped, sizeof unstamped) == 0)
        return true;
    if (!is_zero(stamp, DB_SUMS_RESERVE))
        return false;
    return tree[0] ? has_sound_cells(page, tree) : !is_zero(page, DB_SUMS_PAGE);
}

static int check_page(const struct file *f, unsigned char *page, sqlite3_int64 at, int rc)
{
    sqlite3_int64 number = at / DB_SUMS_PAGE + 1;
    uint64_t sum;

    if (rc == SQLITE_IOERR_SHORT_READ) {
        int code = damaged(f, "page", number, "lies behind the end of the file: it was cut");
        return code ? code : rc;
    }
    memcpy(&sum, page + DB_SUMS_PAGE - DB_SUMS_RESERVE, sizeof sum);
    if (le64toh(sum) != sum_of(page, number) && !is_unstamped(page, number))
        return damaged(f, "page", number, "is damaged");
    memcpy(page + DB_SUMS_PAGE - DB_SUMS_RESERVE, unstamped, sizeof unstamped);
    return SQLITE_OK;
}

static int main_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    struct file *f = file_of(file);
    int rc = f->real->pMethods->xRead(f->real, to, n, at);

    if (rc == SQLITE_OK && at == 0 && n >= HEADER) {
        rc = notice_header(f, to, is_page(n, at));
        if (rc)
            return rc;
    }
    bool judge = f->compare && is_page(n, at) && (rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ);
    return judge ? check_page(f, to, at, rc) : rc;
}

static int main_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
    struct file *f = file_of(file);
    unsigned char page[DB_SUMS_PAGE];

    if (is_page(n, at) && f->checkpoint && f->log_page != (uint32_t)(at / DB_SUMS_PAGE + 1)) {
        log_line(LOG_ERROR, "database: a checkpoint would write page %u of the log over page %lld",
                 (unsigned)f->log_page, (long long)(at / DB_SUMS_PAGE + 1));
        return SQLITE_CORRUPT;
    }
    if (at == 0 && n >= HEADER)
        notice_header(f, from, true);
    if (!f->stamp || !is_page(n, at))
        return f->real->pMethods->xWrite(f->real, from, n, at);
    memcpy(page, from, sizeof page);
    uint64_t sum = htole64(sum_of(page, at / DB_SUMS_PAGE + 1));
    memcpy(page + DB_SUMS_PAGE - DB_SUMS_RESERVE, &sum, sizeof sum);
    return f->real->pMethods->xWrite(f->real, page, n, at);
}

/* --- The log's frames --- */

/* The frame whose page lies at this place of the log, from 0; -1: no page begins here. */
static sqlite3_int64 frame_at(sqlite3_int64 at)
{
    sqlite3_int64 behind = at - LOG_HEADER - FRAME_HEADER;
    return behind >= 0 && behind % DB_SUMS_FRAME == 0 ? behind / DB_SUMS_FRAME : -1;
}

/* The log's checksum (SQLite's): over pairs of words, each sum feeding the other.  n is a multiple of 8. */
static void log_sum(bool big, const unsigned char *data, size_t n, uint32_t sum[2])
{
    uint32_t word[2];

    for (size_t i = 0; i < n; i += sizeof word) {
        memcpy(word, data + i, sizeof word);
        sum[0] += (big ? be32toh(word[0]) : le32toh(word[0])) + sum[1];
        sum[1] += (big ? be32toh(word[1]) : le32toh(word[1])) + sum[0];
    }
}

/* header is the frame's, before the checksum that the frame before it ends in. */
static bool frame_holds(bool big, const unsigned char before[8], const unsigned char *header, const unsigned char *page)
{
    uint32_t sum[2] = {big_endian(before), big_endian(before + 4)};

    log_sum(big, header, 8, sum);
    log_sum(big, page, DB_SUMS_PAGE, sum);
    return sum[0] == big_endian(header + FRAME_SUM) && sum[1] == big_endian(header + FRAME_SUM + 4);
}

/* The byte order is that of the machine that began the log: nearly always this one's, little in any case today. */
static int check_frame(struct file *f, const unsigned char *page, sqlite3_int64 at, sqlite3_int64 frame)
{
    unsigned char before[8], header[FRAME_HEADER];
    sqlite3_int64 start = at - FRAME_HEADER;
    int (*read)(sqlite3_file *, void *, int, sqlite3_int64) = f->real->pMethods->xRead;

    int rc = read(f->real, header, sizeof header, start);
    if (!rc)
        rc = read(f->real, before, sizeof before, frame ? start - DB_SUMS_FRAME + FRAME_SUM : LOG_HEADER_SUM);
    if (rc)
        return rc;
    f->main->log_page = big_endian(header);
    if (frame >= f->unsure)
        return SQLITE_OK;
    bool holds = frame_holds(false, before, header, page) || frame_holds(true, before, header, page);
    return holds ? SQLITE_OK : damaged(f->main, "the log's frame", frame + 1, "is damaged");
}

/* The first page in the log is newer than that in the file, which a checkpoint may have written half. */
static int check_log_page(struct file *f, const unsigned char *page, sqlite3_int64 at, sqlite3_int64 frame)
{
    int rc = check_frame(f, page, at, frame);
    return rc || f->main->log_page != 1 ? rc : notice_header(f->main, page, true);
}

static int log_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
    struct file *f = file_of(file);
    sqlite3_int64 frame = frame_at(at);
    int rc = f->real->pMethods->xRead(f->real, to, n, at);

    return rc || n != DB_SUMS_PAGE || frame < 0 ? rc : check_log_page(f, to, at, frame);
}

/* How many headers of frames begin before this place. */
static sqlite3_int64 headers_before(sqlite3_int64 at)
{
    return at <= LOG_HEADER ? 0 : (at - LOG_HEADER + DB_SUMS_FRAME - 1) / DB_SUMS_FRAME;
}

/*
 * Keeps account of which checksums are not yet what they will be.  A new frame's header comes right before its page, in one
 * write with it or in one of its own; a page that comes without is written again.
 */
static void note_write(struct file *f, int n, sqlite3_int64 at)
{
    sqlite3_int64 page = frame_at(at), headers = headers_before(at + n);

    if (at < LOG_HEADER)
        f->unsure = INT64_MAX;
    if (page >= 0 && page != f->announced && page < f->unsure)
        f->unsure = page;
    if (headers_before(at) <= f->unsure && f->unsure < headers)
        f->unsure = headers;
    f->announced = frame_at(at + n);
}

static int log_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
    struct file *f = file_of(file);

    note_write(f, n, at);
    return f->real->pMethods->xWrite(f->real, from, n, at);
}

/* --- What is passed on as it is --- */

static int file_close(sqlite3_file *file)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xClose(f->real);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xTruncate(f->real, size);
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xSync(f->real, flags);
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xFileSize(f->real, size);
}

static int file_lock(sqlite3_file *file, int level)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xLock(f->real, level);
}

static int file_unlock(sqlite3_file *file, int level)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xUnlock(f->real, level);
}

static int file_reserved(sqlite3_file *file, int *held)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xCheckReservedLock(f->real, held);
}

static int file_sector(sqlite3_file *file)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xSectorSize(f->real);
}

static int file_traits(sqlite3_file *file)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xDeviceCharacteristics(f->real);
}

static int shm_map(sqlite3_file *file, int region, int size, int extend, void volatile **p)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xShmMap(f->real, region, size, extend, p);
}

static int shm_lock(sqlite3_file *file, int at, int n, int flags)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xShmLock(f->real, at, n, flags);
}

static void shm_barrier(sqlite3_file *file)
{
    struct file *f = file_of(file);
    f->real->pMethods->xShmBarrier(f->real);
}

static int shm_unmap(sqlite3_file *file, int remove)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xShmUnmap(f->real, remove);
}

/* --- Controls --- */

static int convert(struct file *f, bool begin)
{
    unsigned char header[HEADER];

    f->converting = begin;
    f->stamp = begin;
    return begin ? SQLITE_OK : main_read(&f->base, header, sizeof header, 0);
}

static int main_control(sqlite3_file *file, int op, void *argument)
{
    struct file *f = file_of(file);

    switch (op) {
    case DB_SUMS_ARE_THERE:
        *(int *)argument = f->compare;
        return SQLITE_OK;
    case DB_SUMS_STAMP:
        f->stamp = *(int *)argument;
        return SQLITE_OK;
    case DB_SUMS_LENIENT:
        f->lenient = *(int *)argument;
        return SQLITE_OK;
    case DB_SUMS_FILE:
        *(struct file **)argument = f;
        return SQLITE_OK;
    case DB_SUMS_CONVERT:
        return convert(f, *(int *)argument);
    case SQLITE_FCNTL_CKPT_START:
    case SQLITE_FCNTL_CKPT_DONE:
        f->checkpoint = op == SQLITE_FCNTL_CKPT_START;
        break;
    default:
        break;
    }
    return f->real->pMethods->xFileControl(f->real, op, argument);
}

static int log_control(sqlite3_file *file, int op, void *argument)
{
    struct file *f = file_of(file);
    return f->real->pMethods->xFileControl(f->real, op, argument);
}

/* Version 2: nothing is mapped into memory past these functions. */
static const sqlite3_io_methods main_methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = main_read,
    .xWrite = main_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = main_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = shm_map,
    .xShmLock = shm_lock,
    .xShmBarrier = shm_barrier,
    .xShmUnmap = shm_unmap,
};

static const sqlite3_io_methods log_methods = {
    .iVersion = 1,
    .xClose = file_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = log_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
};

/* --- The layer --- */

static sqlite3_vfs *below(sqlite3_vfs *layer)
{
    return layer->pAppData;
}

/* Another layer may lie above: what SQLite calls the log's database need not be a file of this one. */
static int find_main(struct file *log, const char *name)
{
    sqlite3_file *database = sqlite3_database_file_object(name);
    return database->pMethods->xFileControl(database, DB_SUMS_FILE, &log->main);
}

static int layer_open(sqlite3_vfs *layer, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
    sqlite3_vfs *real = below(layer);
    struct file *f = file_of(file);
    bool log = flags & SQLITE_OPEN_WAL;

    if (!log && !(flags & SQLITE_OPEN_MAIN_DB))
        return real->xOpen(real, name, file, flags, out_flags);
    *f = (struct file){.real = (sqlite3_file *)(void *)(f + 1), .unsure = INT64_MAX, .announced = -1};
    f->real->pMethods = NULL;
    int rc = log ? find_main(f, name) : SQLITE_OK;
    if (rc == SQLITE_OK)
        rc = real->xOpen(real, name, f->real, flags, out_flags);
    if (f->real->pMethods)
        f->base.pMethods = log ? &log_methods : &main_methods;
    return rc;
}

static int layer_delete(sqlite3_vfs *layer, const char *name, int sync)
{
    return below(layer)->xDelete(below(layer), name, sync);
}

static int layer_access(sqlite3_vfs *layer, const char *name, int flags, int *result)
{
    return below(layer)->xAccess(below(layer), name, flags, result);
}

static int layer_full_path(sqlite3_vfs *layer, const char *name, int size, char *out)
{
    return below(layer)->xFullPathname(below(layer), name, size, out);
}

static int layer_random(sqlite3_vfs *layer, int size, char *out)
{
    return below(layer)->xRandomness(below(layer), size, out);
}

static int layer_sleep(sqlite3_vfs *layer, int microseconds)
{
    return below(layer)->xSleep(below(layer), microseconds);
}

static int layer_time(sqlite3_vfs *layer, double *now)
{
    return below(layer)->xCurrentTime(below(layer), now);
}

static int layer_time_int(sqlite3_vfs *layer, sqlite3_int64 *now)
{
    return below(layer)->xCurrentTimeInt64(below(layer), now);
}

static int layer_error(sqlite3_vfs *layer, int size, char *out)
{
    return below(layer)->xGetLastError(below(layer), size, out);
}

void db_sums_register(void)
{
    static sqlite3_vfs layer = {
        .iVersion = 2,
        .zName = layer_name,
        .xOpen = layer_open,
        .xDelete = layer_delete,
        .xAccess = layer_access,
        .xFullPathname = layer_full_path,
        .xRandomness = layer_random,
        .xSleep = layer_sleep,
        .xCurrentTime = layer_time,
        .xGetLastError = layer_error,
        .xCurrentTimeInt64 = layer_time_int,
    };
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    if (!real || sqlite3_vfs_find(layer_name))
        return;
    layer.szOsFile = (int)sizeof(struct file) + real->szOsFile;
    layer.mxPathname = real->mxPathname;
    layer.pAppData = real;
    sqlite3_vfs_register(&layer, 1);
}
