-- A mutex over all workers, for the few things that only one may do at a time. A worker that dies with it in hand does
-- not block the others: whoever waits sees that the owner is gone and takes over.
local workers = require "workers"

local dict = ngx.shared.locks

local WAIT_S = 10

local _M = {}

-- Of several who see a dead owner, one inherits: the one whose `add` comes first.
local function inherit(name, owner)
    if workers.is_alive(owner) or not dict:add("heir:" .. name .. ":" .. owner, workers.identity, 60) then
        return false
    end
    dict:set(name, workers.identity)
    return true
end

local function acquire(name, wait_s, on_inherit)
    local deadline = ngx.now() + wait_s
    local pause = 0.001
    while not dict:add(name, workers.identity) do
        local owner = dict:get(name)
        if owner and inherit(name, owner) then
            on_inherit()
            return true
        end
        if ngx.now() >= deadline then
            return false
        end
        ngx.sleep(pause)
        pause = math.min(pause * 2, 0.008)
    end
    return true
end

local function release_and_return(name, ok, ...)
    dict:delete(name)
    if not ok then
        error((...), 0)
    end
    return ...
end

-- Frees what a dead worker holds. Its successor calls this at its start, so that nothing half done stays even when
-- nobody asks for the lock again.
function _M.free_dead(name, on_inherit)
    local owner = dict:get(name)
    if owner and inherit(name, owner) then
        on_inherit()
        dict:delete(name)
    end
end

-- Runs `work` alone. Returns nil, "busy" when the lock was not to be had in time. `on_inherit` runs first when the last
-- owner died inside.
function _M.with(name, work, on_inherit, wait_s)
    if not acquire(name, wait_s or WAIT_S, on_inherit or function() end) then
        return nil, "busy"
    end
    return release_and_return(name, pcall(work))
end

return _M
