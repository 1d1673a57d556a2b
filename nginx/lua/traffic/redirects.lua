-- Requests that are answered with another address. What a record says of it is worked out once.
local authority = require "traffic.authority"
local request = require "traffic.request"

local get = request.get
local byte, find, sub = string.byte, string.find, string.sub

local _M = {}

local SLASH = 47

-- `to` is a host, a path, or a URL. Without a path in it the request's own is kept, with one the prefix is replaced.
local function compile(redirect)
    local scheme, host, path = redirect.to:match("^(https?://)([^/]+)(.*)$")
    if not scheme then
        host = redirect.to:match("^[^/]+")
        path = host and "" or redirect.to
    end
    return {
        host = redirect.host,
        suffix = redirect.host and redirect.host:match("^%*(%..*)$"),
        path = redirect.path,
        status = redirect.status,
        scheme = scheme,
        to_host = host,
        to_path = path == "/" and "" or path ~= "" and path or nil,
    }
end

-- Those of a record; nil when there are none.
function _M.of(listed)
    if not listed or #listed == 0 then
        return nil
    end
    local redirects = {}
    for position, redirect in ipairs(listed) do
        redirects[position] = compile(redirect)
    end
    return redirects
end

local function is_host(redirect, name)
    local suffix = redirect.suffix
    return not redirect.host or redirect.host == name
        or suffix and #name > #suffix and sub(name, -#suffix) == suffix
end

local function is_below(path, prefix)
    return prefix == "/" or path == prefix
        or sub(path, 1, #prefix) == prefix and byte(path, #prefix + 1) == SLASH
end

local function escaped(char)
    return ("%%%02X"):format(byte(char))
end

-- What follows the prefix, as the client wrote it. Where the client has spelled the prefix in another way, it is written again.
local function behind(prefix, path, raw)
    local stop = (find(raw, "?", 1, true) or #raw + 1) - 1
    if is_below(sub(raw, 1, stop), prefix) then
        return sub(raw, #prefix + 1)
    end
    return sub(path, #prefix + 1):gsub("[^A-Za-z0-9/._~!$&'()*+,;=:@-]", escaped) .. sub(raw, stop + 1)
end

local function location(redirect, path)
    local raw = get("request_uri")
    if byte(raw, 1) ~= SLASH then
        raw = "/" .. raw
    end
    local target = raw
    if redirect.to_path then
        target = redirect.to_path .. (redirect.path == "/" and raw or behind(redirect.path, path, raw))
        target = byte(target, 1) == SLASH and target or "/" .. target
    end
    local here = get("client_host")
    local host = redirect.to_host or here
    if redirect.to_host and not redirect.scheme and not find(host, ":", 1, true) then
        host = host .. (here:match(":%d+$") or "")
    end
    return (redirect.scheme or get("client_proto") .. "://") .. host .. target
end

-- The status and the address to answer the request at hand with; nil when no redirect matches.
function _M.find(redirects)
    local name, path = authority.name(authority.asked()), get("uri")
    for _, redirect in ipairs(redirects) do
        if is_host(redirect, name) and is_below(path, redirect.path) then
            return redirect.status, location(redirect, path)
        end
    end
end

return _M
