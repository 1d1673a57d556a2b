-- Who the nginx workers are. A worker is known by its process id and start time, so a number that the kernel gives out
-- again is never mistaken for the worker that died.
local dict = ngx.shared.inflight

local _M = {}

-- Start time of a live process in clock ticks since boot, nil for a dead one.
local function start_time(pid)
    local file = io.open("/proc/" .. pid .. "/stat", "r")
    if not file then
        return nil
    end
    local text = file:read("*l")
    file:close()
    -- The name of the process may hold spaces and brackets: fields are counted from the last bracket.
    local state, rest = (text or ""):match("^.*%) (%a) (.*)$")
    -- A zombie's connections are closed already, so its requests are over.
    if not state or state == "Z" or state == "X" then
        return nil
    end
    local position = 0
    for field in rest:gmatch("%S+") do
        position = position + 1
        if position == 19 then
            return field
        end
    end
end

function _M.is_alive(identity)
    local pid, start = identity:match("^(%d+)%-(%d+)$")
    return pid ~= nil and start_time(pid) == start
end

-- Called once in each worker. Slots are never given out twice, so no two workers can clash over one.
function _M.register()
    _M.pid = ngx.worker.pid()
    _M.identity = _M.pid .. "-" .. start_time(_M.pid)
    for slot = 1, dict:get("slots") or 0 do
        local identity = dict:get("slot:" .. slot)
        if identity and not _M.is_alive(identity) then
            dict:delete("slot:" .. slot)
        end
    end
    _M.slot = dict:incr("slots", 1, 0)
    assert(dict:safe_set("slot:" .. _M.slot, _M.identity))
end

-- Identities of all live workers, also of those that finish old requests after a reload.
function _M.live()
    local found = {}
    for slot = 1, dict:get("slots") or 0 do
        local identity = dict:get("slot:" .. slot)
        if identity and (identity == _M.identity or _M.is_alive(identity)) then
            found[#found + 1] = identity
        end
    end
    return found
end

local others, others_read_at = {}, -math.huge

-- All but this worker, up to a second old: good enough to balance by, never to drain by.
function _M.others()
    local now = ngx.now()
    if now - others_read_at > 1 then
        others, others_read_at = {}, now
        for _, identity in ipairs(_M.live()) do
            if identity ~= _M.identity then
                others[#others + 1] = identity
            end
        end
    end
    return others
end

return _M
