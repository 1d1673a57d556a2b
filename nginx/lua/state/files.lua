-- Files written so that they survive a power cut. Uses nothing of nginx: these functions run in threads of the pool
-- `disk`, where waiting for the disk delays no request, and at start in the master.
local ffi = require "ffi"

ffi.cdef [[
int open(const char *path, int flags, ...);
int close(int fd);
int fsync(int fd);
int fdatasync(int fd);
int ftruncate(int fd, int64_t length);
int64_t lseek(int fd, int64_t offset, int whence);
intptr_t pread(int fd, void *buffer, size_t count, int64_t offset);
intptr_t pwrite(int fd, const void *buffer, size_t count, int64_t offset);
int link(const char *from, const char *to);
char *strerror(int number);
]]

local C = ffi.C
local O_RDWR, O_CREAT, O_CLOEXEC, O_DIRECTORY = 2, 64, 524288, 65536
local SEEK_END = 2

local _M = {}

-- Why the call before it failed.
local function problem(doing, path)
    return ("cannot %s `%s`: %s"):format(doing, path, ffi.string(C.strerror(ffi.errno())):lower())
end

_M.problem = problem

-- Makes the names in the folder of `path` durable.
local function sync_folder(path)
    local folder = path:match("^(.*)/")
    local fd = C.open(folder, O_DIRECTORY + O_CLOEXEC)
    if fd < 0 then
        return nil, problem("open", folder)
    end
    local failed = C.fsync(fd) ~= 0 and problem("sync", folder)
    C.close(fd)
    if failed then
        return nil, failed
    end
    return true
end

_M.sync_folder = sync_folder

local function write_all(fd, data, offset)
    local done = 0
    local bytes = ffi.cast("const char *", data)
    while done < #data do
        local count = tonumber(C.pwrite(fd, bytes + done, #data - done, offset + done))
        if count <= 0 then
            return false
        end
        done = done + count
    end
    return true
end

-- A file that is made for this gets `mode`, 0640 unless told otherwise.
local function opened(path, work, mode)
    local fd = C.open(path, O_RDWR + O_CREAT + O_CLOEXEC, ffi.cast("int", mode or 416))
    if fd < 0 then
        return nil, problem("open", path)
    end
    local result, failed = work(fd)
    C.close(fd)
    return result, failed
end

-- On failure the file ends at `offset` again: what was written in part is never read later.
local function put(fd, path, data, offset, is_durable)
    if not write_all(fd, data, offset) or is_durable and C.fdatasync(fd) ~= 0 then
        local failed = problem("write", path)
        C.ftruncate(fd, offset)
        C.fdatasync(fd)
        return nil, failed
    end
    return true
end

-- Writes `data` at `offset`; it becomes the end of the file.
function _M.write_at(path, offset, data, is_durable, mode)
    local ok, failed = opened(path, function(fd)
        if C.ftruncate(fd, offset) ~= 0 then
            return nil, problem("truncate", path)
        end
        return put(fd, path, data, offset, is_durable)
    end, mode)
    if ok and is_durable and offset == 0 then
        return sync_folder(path)
    end
    return ok, failed
end

local function byte_at(fd, offset)
    local byte = ffi.new("char[1]")
    return C.pread(fd, byte, 1, offset) == 1 and byte[0] or nil
end

-- Bytes by which a journal grows. Within them a write changes no metadata, so syncing it does not wait for what others
-- (an image being unpacked) have in the file system's own journal: measured 0.1 ms instead of up to 30 ms.
local STEP = 1024 * 1024

local function reserve(fd, path, offset, length)
    local size = tonumber(C.lseek(fd, 0, SEEK_END))
    if size < offset then
        return nil, ("`%s` has %d bytes, but %d were written"):format(path, size, offset)
    end
    -- A line that was written but never acknowledged: it must not come to life behind the next one.
    if size > offset and byte_at(fd, offset) ~= 0 then
        if C.ftruncate(fd, offset) ~= 0 then
            return nil, problem("truncate", path)
        end
        size = offset
    end
    if offset + length > size then
        -- On a nearly full disk there is no room for this, but perhaps for the line alone.
        put(fd, path, ("\0"):rep(STEP), size, false)
    end
    return true
end

-- Makes room for journal lines at `offset`.
function _M.reserve(path, offset)
    return opened(path, function(fd)
        return reserve(fd, path, offset, STEP / 16)
    end)
end

-- Writes a journal's line at `offset`, where the lines before it end; behind it there are zeros.
function _M.put_line(path, offset, line)
    local ok, failed = opened(path, function(fd)
        local is_reserved, why = reserve(fd, path, offset, #line)
        if not is_reserved then
            return nil, why
        end
        return put(fd, path, line, offset, true)
    end)
    if ok and offset == 0 then
        return sync_folder(path)
    end
    return ok, failed
end

-- Ends a journal at `offset` if something was written behind it. Returns true when there was.
function _M.cut(path, offset)
    return opened(path, function(fd)
        local is_written = (byte_at(fd, offset) or 0) ~= 0
        if is_written and (C.ftruncate(fd, offset) ~= 0 or C.fdatasync(fd) ~= 0) then
            return nil, problem("truncate", path)
        end
        return is_written
    end)
end

-- Appends a line, after ending one that a crash has torn.
function _M.append_line(path, line)
    local is_new = false
    local ok, failed = opened(path, function(fd)
        local size = tonumber(C.lseek(fd, 0, SEEK_END))
        is_new = size == 0
        local is_torn = size > 0 and byte_at(fd, size - 1) ~= 10
        return put(fd, path, (is_torn and "\n" or "") .. line .. "\n", size, true)
    end)
    if ok and is_new then
        return sync_folder(path)
    end
    return ok, failed
end

-- Makes `text` the whole of `path`: written aside, synced, renamed. A reader finds the old or the new.
function _M.replace(path, text, mode)
    local temporary = path .. ".tmp"
    local ok, failed = _M.write_at(temporary, 0, text, true, mode)
    if not ok then
        os.remove(temporary)
        return nil, failed
    end
    local renamed, why = os.rename(temporary, path)
    if not renamed then
        return nil, "cannot rename " .. why
    end
    return sync_folder(path)
end

-- Makes the finished file `temporary` the file `path`; the one that was there is kept as `previous`.
function _M.publish(temporary, path, previous)
    local ok, failed = opened(temporary, function(fd)
        if C.fsync(fd) ~= 0 then
            return nil, problem("sync", temporary)
        end
        return true
    end)
    if not ok then
        return nil, failed
    end
    os.remove(previous)
    C.link(path, previous) -- fails the first time, when there is none yet
    local renamed, why = os.rename(temporary, path)
    if not renamed then
        return nil, "cannot rename " .. why
    end
    return sync_folder(path)
end

-- The file's text; nil without a reason when there is none.
function _M.read(path)
    local file, why, number = io.open(path, "rb")
    if not file then
        return nil, number ~= 2 and "cannot open " .. why or nil
    end
    local text, failed = file:read("*a")
    file:close()
    return text, failed
end

return _M
