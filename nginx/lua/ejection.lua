-- Passive health: a peer that refused a connection gets no requests for a short, growing while. Known to one worker
-- only: each finds out with one request, which is repeated elsewhere anyway.
local _M = {}

local FIRST_S, LONGEST_S = 0.5, 10
-- After the while, one request tries the peer; the others wait for what it finds. Longer than proxy_connect_timeout.
local TRIAL_S = 2.5
local FORGET_S = 60

local ejected = {}

-- May the peer be picked? True for all but the ejected ones.
function _M.allows(peer)
    local state = ejected[peer.id]
    return not state or ngx.now() >= state.until_time
end

-- The peer was picked: if its while is over, this is the one request that tries it.
function _M.picked(peer)
    local state = ejected[peer.id]
    if state then
        state.until_time = math.max(state.until_time, ngx.now() + TRIAL_S)
    end
end

-- The peer could not be reached.
function _M.failed(peer)
    local state = ejected[peer.id] or { failures = 0 }
    local pause = math.min(FIRST_S * 2 ^ state.failures, LONGEST_S)
    state.failures = state.failures + 1
    state.until_time = ngx.now() + pause
    ejected[peer.id] = state
end

function _M.is_watched(peer)
    return ejected[peer.id] ~= nil
end

-- The peer answered again.
function _M.answered(peer)
    ejected[peer.id] = nil
end

-- Replicas come and go; what was ejected long ago and never tried again is gone.
function _M.forget_old()
    local before = ngx.now() - FORGET_S
    for id, state in pairs(ejected) do
        if state.until_time < before then
            ejected[id] = nil
        end
    end
end

return _M
