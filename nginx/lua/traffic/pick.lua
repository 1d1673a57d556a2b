-- Picks the peer for a request. What each request passes has no loop in it: LuaJIT compiles it in one piece.
local ejection = require "traffic.ejection"
local inflight = require "traffic.inflight"

local _M = {}

-- How long the other workers' counts are taken as they were read.
local OTHERS_S = 0.02

local function is_usable(peer, tried, is_choosy)
    return not tried[peer.id] and (not is_choosy or ejection.allows(peer))
end

local function read_others(app)
    local now = ngx.now()
    if now - app.others_read_at >= OTHERS_S then
        app.others_read_at = now
        for _, peer in ipairs(app.peers) do
            app.others_load[peer.id] = inflight.others_load(peer)
        end
    end
end

local function load_of(app, peer)
    return inflight.own_load(peer) + (app.others_load[peer.id] or 0)
end

-- The second one, if it is less loaded. Who is first changes from call to call, so equally loaded peers take turns.
local function less_loaded(app, first, second)
    return load_of(app, second) < load_of(app, first) and second or first
end

local function least_loaded(app, tried, is_choosy)
    local peers, best = app.peers, nil
    for step = 1, #peers do
        local peer = peers[(app.turn + step) % #peers + 1]
        if is_usable(peer, tried, is_choosy) then
            best = best and less_loaded(app, best, peer) or peer
        end
    end
    return best
end

-- Of two random peers the less loaded: nearly as even as looking at all of them, at a cost that does not grow. With two
-- peers it is the least loaded one.
local function less_loaded_of_two(app, tried, is_choosy)
    local peers = app.peers
    local count = #peers
    local one = app.turn % count + 1
    local two = (one + math.random(count - 1) - 1) % count + 1
    local first, second = peers[one], peers[two]
    if is_usable(first, tried, is_choosy) and is_usable(second, tried, is_choosy) then
        return less_loaded(app, first, second)
    end
    return least_loaded(app, tried, is_choosy)
end

local function next_in_turn(app, tried, is_choosy)
    local peers = app.peers
    local peer = peers[app.turn % #peers + 1]
    if is_usable(peer, tried, is_choosy) then
        return peer
    end
    for step = 1, #peers - 1 do
        peer = peers[(app.turn + step) % #peers + 1]
        if is_usable(peer, tried, is_choosy) then
            return peer
        end
    end
end

local function by_policy(app, tried, is_choosy)
    app.turn = app.turn + 1
    if app.balance == "round_robin" then
        return next_in_turn(app, tried, is_choosy)
    end
    read_others(app)
    return less_loaded_of_two(app, tried, is_choosy)
end

local NONE = {}

-- Like `pick`, and nil also when all that are left are ejected.
function _M.usable(app, tried)
    tried = tried or NONE
    local peers = app.peers
    if #peers > 1 then
        return by_policy(app, tried, true)
    end
    return peers[1] and is_usable(peers[1], tried, true) and peers[1] or nil
end

-- A peer that is not among `tried` (ids); nil when there is none. When all are ejected they are used nevertheless:
-- a request that may fail is better than one that is sure to.
function _M.pick(app, tried)
    tried = tried or NONE
    local peers = app.peers
    if #peers == 0 then
        return nil
    end
    if #peers == 1 then
        return not tried[peers[1].id] and peers[1] or nil
    end
    return by_policy(app, tried, true) or by_policy(app, tried, false)
end

return _M
