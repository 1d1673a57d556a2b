-- Waits for the open requests of flipped-out peers: `POST /v1/drain`.
local refuse = require("control.problem").refuse
local inflight = require "traffic.inflight"
local json = require "json"

local _M = {}

local LOOK_S = 0.005
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

function _M.drain(body)
    local wait_ms = check(body)
    local known = body.known
    ngx.update_time()
    local deadline = ngx.now() + wait_ms / 1000
    while true do
        local total, by_peer = inflight.sum(body.peers)
        local is_known = known and known.requests == total.requests and known.websockets == total.websockets
        if not is_known or total.requests + total.websockets == 0 or ngx.now() >= deadline then
            return encode(total, by_peer)
        end
        ngx.sleep(LOOK_S)
    end
end

return _M
