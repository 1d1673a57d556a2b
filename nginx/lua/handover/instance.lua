-- Which one of the proxies this is that get their listeners from one holder, and what it does:
--   standby   takes no connections and has no table
--   serving   takes the connections, has the table, writes the state
--   frozen    still takes connections, but neither writes nor leases: it is about to hand over
--   retiring  answers on the connections that it has, each answer being the last one, and then ends
-- Who holds the lock on the file `lock` may write the state; the kernel frees it when the last process of its owner ends. The link
-- `control.sock` leads to the control socket of the one that serves, or is to serve after a start.
-- A proxy without a number has no holder and is alone: it serves.
local ffi = require "ffi"
local files = require "state.files"

ffi.cdef [[
int flock(int fd, int operation);
intptr_t readlink(const char *path, char *text, size_t size);
int symlink(const char *target, const char *path);
intptr_t recv(int fd, void *buffer, size_t size, int flags);
]]

local C = ffi.C
local O_RDWR, O_CREAT = 2, 64
local LOCK_EX, LOCK_NB, LOCK_UN = 2, 4, 8
local MSG_PEEK, MSG_DONTWAIT = 2, 64

local dict = ngx.shared.handover

local FOLDER = "/var/lib/deploy-apps/run/"
local LINK = FOLDER .. "control.sock"
local RETIREES = FOLDER .. "retiring"

local _M = {}

function _M.socket(number)
    return FOLDER .. number .. ".sock"
end

function _M.phase()
    return dict:get("phase")
end

function _M.set_phase(phase)
    assert(dict:safe_set("phase", phase))
end

function _M.is_serving()
    return dict:get("phase") == "serving"
end

-- The number that the link names, nil when there is none.
function _M.appointed()
    local buffer = ffi.new("char[256]")
    local length = tonumber(C.readlink(LINK, buffer, 256))
    return length > 0 and tonumber(ffi.string(buffer, length):match("^(%d+)%.sock$")) or nil
end

-- From now on the control socket, and a start, lead here.
local function appoint()
    local temporary = LINK .. "." .. _M.number
    os.remove(temporary)
    if C.symlink(_M.number .. ".sock", temporary) ~= 0 then
        return nil, files.problem("make", temporary)
    end
    local ok, why = os.rename(temporary, LINK)
    if not ok then
        return nil, "cannot rename " .. why
    end
    return files.sync_folder(LINK)
end

-- Whether this proxy may write the state, from now on or already.
function _M.lock()
    return C.flock(dict:get("lock_fd"), LOCK_EX + LOCK_NB) == 0
end

function _M.unlock()
    C.flock(dict:get("lock_fd"), LOCK_UN)
end

-- Those that retire and may still have requests open, as numbers.
function _M.retirees()
    local found = {}
    for number in (dict:get("retirees") or ""):gmatch("%d+") do
        found[#found + 1] = tonumber(number)
    end
    return found
end

-- As they were when this proxy last ran.
function _M.stored_retirees()
    local found = {}
    for number in (files.read(RETIREES) or ""):gmatch("%d+") do
        found[#found + 1] = tonumber(number)
    end
    return found
end

function _M.set_retirees(numbers)
    local text = table.concat(numbers, " ")
    assert(dict:safe_set("retirees", text))
    return files.replace(RETIREES, text)
end

-- With the lock held and the table loaded: serves.
function _M.begin_serving(retirees)
    local ok, problem = _M.set_retirees(retirees)
    ok, problem = ok and appoint(), problem
    if not ok then
        return nil, problem
    end
    _M.set_phase("serving")
    return true
end

-- Whether the one that has the listeners has ended: no client reaches these any more.
function _M.is_orphaned()
    local fd = tonumber(os.getenv("HOLDER_FD") or "")
    return fd ~= nil and C.recv(fd, ffi.new("char[1]"), 1, MSG_PEEK + MSG_DONTWAIT) == 0
end

-- In the master, at start and after a reload. Returns whether there is a table to load.
function _M.load()
    _M.number = tonumber(os.getenv("INSTANCE") or "")
    if dict:get("phase") then
        return _M.is_serving()
    end
    if not _M.number then
        _M.set_phase("serving")
        return true
    end
    local path = FOLDER .. "lock"
    local fd = C.open(path, O_RDWR + O_CREAT, ffi.cast("int", 416)) -- 0640
    assert(fd >= 0, files.problem("open", path))
    -- Of this open file, so all workers share it with the master.
    dict:set("lock_fd", fd)
    local appointed = _M.appointed()
    local is_serving = (not appointed or appointed == _M.number) and _M.lock()
    if is_serving then
        dict:set("retirees", table.concat(appointed and _M.stored_retirees() or {}, " "))
        assert(appointed or appoint())
    end
    _M.set_phase(is_serving and "serving" or "standby")
    return is_serving
end

return _M
