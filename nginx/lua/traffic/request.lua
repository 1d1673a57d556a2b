-- The request at hand: its nginx variables, its status, and what the proxy holds for it. Each request passes here some ten
-- times, so this goes around two slow things of `ngx`: fields that are looked up by a metamethod (LuaJIT cannot compile
-- code in which one returns), and `ngx.ctx` (which nginx empties when it turns to an error page: a count would be lost).
local base = require "resty.core.base"
local ffi = require "ffi"

local _M = {}

local var_get, var_set = getmetatable(ngx.var).__index, getmetatable(ngx.var).__newindex
local ngx_get = getmetatable(ngx).__index

function _M.get(name)
    return var_get(nil, name)
end

function _M.set(name, value)
    var_set(nil, name, value)
end

function _M.status()
    return ngx_get(ngx, "status")
end

local open = {}

-- nginx keeps a request at one address from its first byte to its log entry, through error pages too.
local function address()
    return tonumber(ffi.cast("uintptr_t", base.get_request()))
end

-- Begins what is held for the request: app, peer, is_websocket, tried, retries. Also returns what was held before: a
-- request that nginx sends round once more (an internal redirect) is begun again, and its first count must not stay.
function _M.begin()
    local key = address()
    local held, before = {}, open[key]
    open[key] = held
    return held, before
end

function _M.held()
    return open[address()]
end

-- Ends it. nil when it was never begun.
function _M.finish()
    local key = address()
    local held = open[key]
    open[key] = nil
    return held
end

return _M
