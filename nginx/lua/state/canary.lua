-- A record with a canary: a release on trial, whose peers stand among those of the release that serves.
local _M = {}

-- Is this peer the canary's? `record` is decoded, by whomever.
function _M.has(record, peer)
    local canary = record.canary
    return type(canary) == "table" and peer.release == canary.release
end

-- The record as it was before: all requests go to what served.
function _M.without(record)
    local before = {}
    for name, value in pairs(record) do
        before[name] = value
    end
    before.canary, before.peers = nil, {}
    for _, peer in ipairs(record.peers) do
        if not _M.has(record, peer) then
            before.peers[#before.peers + 1] = peer
        end
    end
    return before
end

return _M
