-- The proxies that retire, as the one that serves sees them. They answer on their connections until those end, so each follows
-- every flip before it is acknowledged, and what they have open counts before a replica is stopped.
local apps = require "state.apps"
local ask = require "handover.ask"
local instance = require "handover.instance"
local json = require "json"

local _M = {}

local PATIENCE_MS = 2000

-- Asks all of them. One that is gone has nothing open and is forgotten. `each(number, answer, problem)`.
local function ask_all(method, path, body, each)
    local numbers = instance.retirees()
    local kept = {}
    for _, number in ipairs(numbers) do
        local status, answer, is_gone = ask(number, method, path, body, PATIENCE_MS)
        if not is_gone then
            kept[#kept + 1] = number
            if status == 200 then
                each(number, answer)
            else
                each(number, nil, status and ("status %d"):format(status) or answer)
            end
        end
    end
    if #kept < #numbers then
        instance.set_retirees(kept)
    end
end

-- Why a flip could not be followed by all, before it is made; nil when it can.
function _M.obstacle()
    local found
    ask_all("GET", "/v1/instance", nil, function(number, _, problem)
        found = found or problem and ("the retiring proxy %d does not answer (%s)"):format(number, problem)
    end)
    return found
end

-- The numbers of those that are still there.
function _M.present()
    if _M.are_there() then
        _M.obstacle()
    end
    return instance.retirees()
end

-- `line` is what the journal got. One that cannot be told now reads it from there before it is asked what it has open.
function _M.follow(line)
    ask_all("POST", "/v1/follow", line, function(number, _, problem)
        if problem then
            ngx.log(ngx.ALERT, "handover: the retiring proxy ", number, " did not follow a flip: ", problem)
        end
    end)
end

local function add(found, id, peer)
    local sum = found[id]
    if sum then
        sum.requests, sum.websockets = sum.requests + peer.requests, sum.websockets + peer.websockets
    else
        found[id] = peer
    end
end

-- What all of them have open: id → { requests, websockets, … }. Of `ids` if there are some, else of whatever there is. One that
-- does not answer counts as a request at each of `ids`: nobody knows that it has none.
function _M.open(ids)
    local found = {}
    local body = ('{"generation":%d%s}'):format(apps.table_generation(), ids and ',"peers":' .. json.encode(ids) or "")
    ask_all("POST", "/v1/open", body, function(_, answer)
        if answer then
            for id, peer in pairs(answer.peers) do
                add(found, id, peer)
            end
        else
            for _, id in ipairs(ids or {}) do
                add(found, id, { requests = 1, websockets = 0 })
            end
        end
    end)
    return found
end

-- `peers`, as `inflight.all` gives them, with what these have open.
function _M.with(peers)
    for id, peer in pairs(_M.are_there() and _M.open() or {}) do
        add(peers, id, peer)
    end
    return peers
end

function _M.are_there()
    return #instance.retirees() > 0
end

return _M
