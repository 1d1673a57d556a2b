-- What went wrong with clients' requests, told on stderr without their queries: they may carry secrets, and nginx writes whole
-- request lines. So the log of that server is a file in memory; one worker reads what has come and passes it on.
local ffi = require "ffi"
require "state.files"

ffi.cdef "int fallocate(int fd, int mode, int64_t offset, int64_t length);"

local C = ffi.C
local O_RDWR, O_CLOEXEC = 2, 524288
local KEEP_SIZE, PUNCH_HOLE = 1, 2
local SEEK_END = 2

local _M = {}

_M.EVERY_S = 1

local PATH = "/run/deploy-apps/errors.log"
-- What is passed on at a time, and what may wait for it. More is left out: a flood of errors must not hold up requests, nor
-- fill the memory.
local PORTION, MOST_WAITING = 128 * 1024, 512 * 1024

local dict = ngx.shared.locks

local function without_text(run)
    -- The address of an upstream ends with these two; that of a request with a space.
    return run:sub(-2) == '",' and '?",' or "?"
end

-- A query has no spaces. A referrer may have some, and it is the last thing in a line. Linear in the line.
function _M.without_queries(line)
    local referrer = line:find(', referrer: "', 1, true)
    local query = referrer and line:find("?", referrer, true)
    if query then
        line = line:sub(1, query) .. '"'
    end
    return (line:gsub("%?[^ ]*", without_text))
end

-- Frees the memory of what was passed on; nginx goes on writing at the end.
local function free(fd, upto)
    C.fallocate(fd, KEEP_SIZE + PUNCH_HOLE, 0, upto)
    dict:set("errors_told", upto)
end

-- The next whole lines, from where the last ones ended, and where they end.
local function read(fd)
    local told, size = dict:get("errors_told") or 0, tonumber(C.lseek(fd, 0, SEEK_END))
    if size - told > MOST_WAITING then
        io.stderr:write(("[proxy] %d bytes of the error log are left out: too many errors\n"):format(size - told - PORTION))
        told = size - PORTION
    end
    local length = math.min(size - told, PORTION)
    if length <= 0 then
        return "", told
    end
    local buffer = ffi.new("char[?]", length)
    local count = tonumber(C.pread(fd, buffer, length, told))
    local text = ffi.string(buffer, math.max(count, 0)):match("^.*\n") or ""
    return text, told + #text
end

-- For a timer, and for the end of the worker.
function _M.tell()
    local fd = C.open(PATH, O_RDWR + O_CLOEXEC)
    if fd < 0 then
        return
    end
    local text, told = read(fd)
    if text ~= "" then
        io.stderr:write((text:gsub("[^\n]+", _M.without_queries)))
        free(fd, told)
    end
    C.close(fd)
end

return _M
