-- How often a client may ask an app: a bucket of tokens for each, in the memory that the workers share. What is kept of a bucket is
-- the time at which it will be full again, so it fills without anybody's doing, and one that is full is forgotten. When the memory
-- is full the oldest goes: its client has a full bucket then, and nobody is refused for it. Two workers that look at one bucket at
-- once may take one token for both.
local ranges = require "ranges"

local dict = ngx.shared.limits

local _M = {}

-- Of a decoded record; nil when there is none.
function _M.of(record)
    local asked = record.rate_limit
    if not asked then
        return nil
    end
    local token_ms = asked.per_ms / asked.requests
    return { prefix = record.project .. "/" .. record.app .. "|", token_ms = token_ms, room_ms = token_ms * (asked.burst - 1) }
end

-- Takes a token of the client's. Returns nil, or for how many seconds there will be none. An IPv6 client may choose among the
-- addresses of its /64, so that network is one.
function _M.take(limit, client)
    local address = ranges.parse(client) or ""
    local key = limit.prefix .. (ranges.is_ipv4(address) and address or address:sub(1, 8))
    local now = ngx.now() * 1000
    local full_at = math.max(dict:get(key) or 0, now)
    local wait_ms = full_at - limit.room_ms - now
    if wait_ms > 0 then
        return math.ceil(wait_ms / 1000)
    end
    full_at = full_at + limit.token_ms
    dict:set(key, full_at, math.max(full_at - now, 1) / 1000)
end

return _M
