-- The two releases of an app while one of them is on trial, each with its peers: a pool is picked from like an app (pick.lua).
local canary = require "state.canary"

local _M = {}

local function pool(app)
    return { peers = {}, balance = app.balance, turn = math.random(0, 1023), others_read_at = 0, others_load = {} }
end

local function variable_of(match)
    return match.header and "http_" .. match.header:lower():gsub("%-", "_") or "cookie_" .. match.cookie
end

-- What stands beside the app as `current.lua` has it; nil when there is no canary.
function _M.of(app, record)
    local asked = record.canary
    if not asked then
        return nil
    end
    local split = { weight = asked.weight, sticky = asked.sticky, stable = pool(app), canary = pool(app),
        -- Other clients are the first ones of another release.
        salt = app.name .. "|" .. asked.release .. "|" }
    if asked.match then
        split.variable, split.value = variable_of(asked.match), asked.match.value
    end
    for _, peer in ipairs(app.peers) do
        local peers = (canary.has(record, peer) and split.canary or split.stable).peers
        peers[#peers + 1] = peer
    end
    return split
end

return _M
