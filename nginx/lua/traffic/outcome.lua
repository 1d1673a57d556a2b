-- What the log says of how a request went and who answered it. The words stand in the line as they are, JSON already;
-- most requests end like one before them, so they are put together once for each replica and status.
local json = require "json"

local _M = {}

-- The part that does not change from request to request.
function _M.of(app, peer)
    local release, replica = peer and peer.release or "null", peer and peer.replica or "null"
    return { who = ('"app":%s,"release":%s,"replica":%s,"retries":'):format(json.encode(app), release, replica), at_once = {} }
end

local function put_together(outcome, status, retries)
    -- HTTP/0.9 has no status; nginx calls it 9.
    return ('"status":%d,%s%d'):format(status == 9 and 0 or status, outcome.who, retries)
end

-- `retries` is nil for none. There are as many statuses as an app makes up, but they have three digits.
function _M.text(outcome, status, retries)
    if retries then
        return put_together(outcome, status, retries)
    end
    local text = outcome.at_once[status]
    if not text then
        text = put_together(outcome, status, 0)
        outcome.at_once[status] = text
    end
    return text
end

return _M
