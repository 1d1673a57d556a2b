-- Keeps the access log within two files of bounded size. On USR1 nginx opens its logs again and closes no connection, which a
-- reload would do. In the moment between, workers write on into the file that was renamed, so no line is lost.
local ffi = require "ffi"
local instance = require "handover.instance"

ffi.cdef [[
int getppid(void);
int kill(int pid, int signal);
]]

local USR1 = 10

local _M = {}

-- Often enough that what comes in between is a few megabytes at most, at any rate of requests.
_M.EVERY_S = 0.2

local PATH = "/var/lib/deploy-apps/log/access.log"
local OLD = PATH .. ".1"
-- How many files have been full, so that a reader knows which ones it has not seen (read-log.pl).
local ROTATED = "/var/lib/deploy-apps/log/rotated"
local MOST_BYTES = 50 * 1000 * 1000

local most_bytes

-- Is there a file? Only then is there something to do.
function _M.start()
    most_bytes = tonumber(os.getenv("ACCESS_LOG_BYTES") or "") or MOST_BYTES
    return os.getenv("ACCESS_LOG") == "file"
end

local function size_of(path)
    local file = io.open(path, "r")
    if not file then
        return nil
    end
    local size = file:seek("end")
    file:close()
    return size
end

-- Each time is some lines in the error log.
local REOPEN_S = 5
local reopened_at = -math.huge

local function reopen()
    reopened_at = ngx.now()
    ffi.C.kill(ffi.C.getppid(), USR1)
end

local function note_rotation()
    local file = io.open(ROTATED, "r")
    local count = file and tonumber(file:read("*l")) or 0
    if file then
        file:close()
    end
    local next_file = io.open(ROTATED .. ".next", "w")
    if next_file then
        next_file:write(("%d\n"):format(count + 1))
        next_file:close()
        os.rename(ROTATED .. ".next", ROTATED)
    end
end

-- For a timer of one worker.
function _M.rotate()
    if not instance.is_serving() then
        return
    end
    local size = size_of(PATH)
    if not size then
        -- nginx could not open it, or somebody has removed it: what is written meanwhile must stay bounded too.
        if (size_of(OLD) or 0) > 2 * most_bytes then
            local file = io.open(OLD, "w")
            if file then
                file:close()
            end
        end
        if ngx.now() - reopened_at >= REOPEN_S then
            reopen()
        end
    elseif size > most_bytes and os.rename(PATH, OLD) then
        note_rotation()
        reopen()
    end
end

return _M
