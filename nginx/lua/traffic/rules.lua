-- What an app's record asks of its requests besides a replica. It is worked out once for each record in each worker; an app that
-- asks for nothing has no rules, and its requests pay for the look at that alone.
local basic_auth = require "traffic.basic_auth"
local maintenance = require "traffic.maintenance"
local pause = require "traffic.pause"
local ranges = require "ranges"
local rate_limit = require "traffic.rate_limit"
local redirects = require "traffic.redirects"
local request = require "traffic.request"

local get, set = request.get, request.set

local _M = {}

local FORBIDDEN, TOO_LARGE, TOO_MANY, UNAVAILABLE = 403, 413, 429, 503

local function list(texts)
    return texts and #texts > 0 and ranges.list(texts) or nil
end

local function seconds(milliseconds)
    return milliseconds and milliseconds / 1000
end

-- Header fields as { name, value }; the value of one that is taken off is nil.
local function headers_of(asked)
    local fields = {}
    for _, name in ipairs(asked and asked.remove or {}) do
        fields[#fields + 1] = { name = name }
    end
    for _, field in ipairs(asked and asked.set or {}) do
        fields[#fields + 1] = field
    end
    return #fields > 0 and fields or nil
end

-- By status.
local function pages_of(asked)
    local pages = {}
    for _, page in ipairs(asked or {}) do
        pages[page.status] = page
    end
    return next(pages) and pages or nil
end

-- The rules of a decoded record; nil when there are none.
function _M.of(record)
    local access, times = record.access or {}, record.timeouts or {}
    local rules = {
        deny = list(access.deny),
        allow = list(access.allow),
        maintenance = maintenance.of(record),
        basic_auth = basic_auth.of(record),
        pause = pause.of(record),
        rate = rate_limit.of(record),
        redirects = redirects.of(record.redirects),
        most_bytes = record.max_body_size,
        headers = headers_of(record.response_headers),
        read_s = seconds(times.read_ms),
        send_s = seconds(times.send_ms),
        pages = pages_of(record.error_pages),
    }
    return next(rules) and rules
end

-- A denied address stays out, whoever is allowed. What is no address, such as a socket's path, is on no list.
local function is_kept_out(rules)
    local client = ranges.parse(get("client_addr")) or ""
    return rules.deny and client ~= "" and rules.deny.covers(client)
        or rules.allow and (client == "" or not rules.allow.covers(client))
end

-- A body whose length is not told beforehand is counted as it arrives (module/).
local function is_too_large(most)
    local length = tonumber(get("http_content_length"))
    if length then
        return length > most
    end
    set("body_limit", most)
    return false
end

-- The status to answer the request at hand with, for a redirect its address, in how many seconds another try is welcome, and the
-- page; nil when it is the app's. A request that comes once more, after a pause, takes no other token.
function _M.answer(rules, is_again)
    if (rules.deny or rules.allow) and is_kept_out(rules) then
        return FORBIDDEN
    end
    if rules.maintenance and maintenance.is_for(rules.maintenance, get("client_addr")) then
        return UNAVAILABLE, nil, rules.maintenance.wait_s, rules.maintenance.page
    end
    local wait = rules.rate and not is_again and rate_limit.take(rules.rate, get("client_addr"))
    if wait then
        return TOO_MANY, nil, wait
    end
    if rules.redirects then
        local status, location = redirects.find(rules.redirects)
        if status then
            return status, location
        end
    end
    if rules.most_bytes and is_too_large(rules.most_bytes) then
        return TOO_LARGE
    end
end

-- Runs when the head of the app's answer is there.
function _M.change_headers(rules)
    local header = ngx.header
    for _, field in ipairs(rules.headers) do
        header[field.name] = field.value
    end
end

return _M
