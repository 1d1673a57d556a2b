-- What a proxy has counted is counted on by the one that serves after it: whoever scrapes sees figures that only rise. All of it goes
-- over with the hand-over; while a proxy retires, what it still counts follows.
local ask = require "handover.ask"
local json = require "json"
local rates = require "metrics.rates"

local dict = ngx.shared.metrics

local _M = {}

local PATIENCE_MS = 2000

-- key → value, without what is 0.
function _M.all()
    local sums = {}
    for _, key in ipairs(dict:get_keys(0)) do
        local value = dict:get(key)
        if value and value ~= 0 then
            sums[key] = value
        end
    end
    return sums
end

function _M.subtract(sums)
    for key, value in pairs(sums) do
        dict:incr(key, -value)
    end
end

-- Of another proxy, up to the hand-over.
function _M.add(sums)
    for key, value in pairs(sums) do
        dict:incr(key, value, 0)
    end
end

-- Of another proxy, since the last call: these are requests of just now.
function _M.add_recent(sums)
    _M.add(sums)
    for key, value in pairs(sums) do
        rates.add(key, value)
    end
end

-- Gives everything to proxy `number`. Returns whether nothing is left here.
function _M.send(number)
    local sums = _M.all()
    if not next(sums) then
        return true
    end
    local status = ask(number, "POST", "/v1/count", json.encode({ counts = sums }), PATIENCE_MS)
    if status ~= 200 then
        return false
    end
    _M.subtract(sums)
    return true
end

-- Whether these are sums by name, as another proxy sends them.
function _M.are_valid(sums)
    if type(sums) ~= "table" then
        return false
    end
    for key, value in pairs(sums) do
        if type(key) ~= "string" or type(value) ~= "number" then
            return false
        end
    end
    return true
end

return _M
