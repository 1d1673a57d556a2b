-- Picks the peer for a request.
local ejection = require "ejection"
local inflight = require "inflight"

local _M = {}

-- Up to here every peer is looked at; above it two random ones, of which the less loaded is nearly as good.
local FEW_PEERS = 8
-- How long the other workers' counts are taken as they were read.
local OTHERS_S = 0.02

local function is_usable(peer, tried)
    return not tried[peer.id] and ejection.allows(peer)
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

-- Begins at another peer each time, so that equally loaded peers take turns.
local function least_loaded(app, tried)
    local peers, best, best_load = app.peers, nil, math.huge
    for step = 1, #peers do
        local peer = peers[(app.turn + step) % #peers + 1]
        if is_usable(peer, tried) then
            local load = load_of(app, peer)
            if load < best_load then
                best, best_load = peer, load
            end
        end
    end
    return best
end

local function less_loaded_of_two(app, tried)
    local peers = app.peers
    local one = math.random(#peers)
    local two = (one + math.random(#peers - 1) - 1) % #peers + 1
    local first, second = peers[one], peers[two]
    if not is_usable(first, tried) or not is_usable(second, tried) then
        return least_loaded(app, tried)
    end
    return load_of(app, second) < load_of(app, first) and second or first
end

local function next_in_turn(app, tried)
    local peers = app.peers
    for step = 0, #peers - 1 do
        local peer = peers[(app.turn + step) % #peers + 1]
        if is_usable(peer, tried) then
            app.turn = app.turn + step
            return peer
        end
    end
end

local function by_policy(app, tried)
    app.turn = app.turn + 1
    if app.balance == "round_robin" then
        return next_in_turn(app, tried)
    end
    read_others(app)
    if #app.peers > FEW_PEERS then
        return less_loaded_of_two(app, tried)
    end
    return least_loaded(app, tried)
end

local NONE = {}

-- A peer that is not among `tried` (ids); nil when there is none. When all are ejected they are used nevertheless:
-- a request that may fail is better than one that is sure to.
function _M.pick(app, tried)
    tried = tried or NONE
    local peers = app.peers
    if #peers == 1 then
        return not tried[peers[1].id] and peers[1] or nil
    end
    local peer = by_policy(app, tried)
    if peer then
        ejection.picked(peer)
        return peer
    end
    for _, candidate in ipairs(peers) do
        if not tried[candidate.id] then
            return candidate
        end
    end
end

return _M
