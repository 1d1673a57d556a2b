-- Waits for the open requests of flipped-out peers: `POST /v1/drain`.
local refuse = require("control.problem").refuse
local inflight = require "traffic.inflight"
local json = require "json"
local retirees = require "handover.retirees"

local _M = {}

local LOOK_S = 0.005
-- How often proxies that retire are asked.
local ASK_S = 0.02
local LONGEST_WAIT_MS = 60000
local MOST_PEERS = 10000

local function invalid(field, message)
    refuse(422, "invalid_drain", ("`%s` %s"):format(field, message), { field = field })
end

local function check(body)
    if type(body.peers) ~= "table" or #body.peers > MOST_PEERS then
        invalid("peers", ("is not a list of at most %d ids"):format(MOST_PEERS))
    end
    for _, id in ipairs(body.peers) do
        if type(id) ~= "string" then
            invalid("peers", "has an entry that is not an id")
        end
    end
    local wait_ms = body.wait_ms or 0
    if type(wait_ms) ~= "number" or wait_ms < 0 or wait_ms > LONGEST_WAIT_MS then
        invalid("wait_ms", ("is not a number from 0 to %d"):format(LONGEST_WAIT_MS))
    end
    if body.known ~= nil and type(body.known) ~= "table" then
        invalid("known", "is not an object")
    end
    return wait_ms
end

local function encode(total, by_peer)
    local texts = {}
    for id, peer in pairs(by_peer) do
        texts[#texts + 1] = ('%s:{"requests":%d,"websockets":%d}'):format(json.encode(id), peer.requests,
            peer.websockets)
    end
    table.sort(texts)
    return ('{"requests":%d,"websockets":%d,"peers":{%s}}'):format(total.requests, total.websockets,
        table.concat(texts, ","))
end

-- What proxies that retire have open at these peers.
local function add(total, by_peer, elsewhere)
    for id, other in pairs(elsewhere) do
        local peer = by_peer[id]
        for _, kind in ipairs({ "requests", "websockets" }) do
            peer[kind] = peer[kind] + other[kind]
            total[kind] = total[kind] + other[kind]
        end
    end
end

function _M.drain(body)
    local wait_ms = check(body)
    local known = body.known
    ngx.update_time()
    local deadline = ngx.now() + wait_ms / 1000
    local elsewhere, asked_at = {}, -math.huge
    while true do
        if ngx.now() - asked_at >= ASK_S and retirees.are_there() then
            elsewhere = retirees.open(body.peers)
            asked_at = ngx.now()
        end
        local total, by_peer = inflight.sum(body.peers)
        add(total, by_peer, retirees.are_there() and elsewhere or {})
        local is_known = known and known.requests == total.requests and known.websockets == total.websockets
        if not is_known or total.requests + total.websockets == 0 or ngx.now() >= deadline then
            return encode(total, by_peer)
        end
        ngx.sleep(LOOK_S)
    end
end

return _M
