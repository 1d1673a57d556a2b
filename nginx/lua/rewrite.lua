-- What of the request's path is sent on. Without `strip` it goes exactly as the client wrote it.
local _M = {}

-- A normalised path, written so that it can be sent again.
local function escape(path)
    return (path:gsub("[^A-Za-z0-9/._~!$&'()*+,;=:@-]", function(char)
        return ("%%%02X"):format(char:byte())
    end))
end

-- How many bytes of `raw` spell `prefix`, which is plain text; nil when it is not a prefix. `%67o` spells `go`.
local function spelled_length(raw, prefix)
    local position = 1
    for at = 1, #prefix do
        local char, width = raw:sub(position, position), 1
        local hex = char == "%" and raw:match("^%x%x", position + 1)
        if hex then
            char, width = string.char(tonumber(hex, 16)), 3
        end
        if char ~= prefix:sub(at, at) then
            return nil
        end
        position = position + width
    end
    return position - 1
end

local function has_dot_segments(raw)
    local path = raw:gsub("%%2[eE]", "."):gsub("%%2[fF]", "/")
    return path:find("/%.%.?/") ~= nil or path:find("/%.%.?$") ~= nil
end

local function rooted(rest)
    return rest:sub(1, 1) == "/" and rest or "/" .. rest
end

-- Returns the target to send, and the prefix that was taken off it, if any.
function _M.target(route, raw)
    if raw:byte(1) ~= 47 then
        raw = "/" .. raw
    end
    if not route.strip or route.path == "/" then
        return raw
    end
    local path, query = raw:match("^([^?]*)(.*)$")
    -- With dot segments the raw path may leave the prefix again; then the normalised one is sent.
    local length = not has_dot_segments(path) and spelled_length(path, route.path)
    if length then
        return rooted(path:sub(length + 1)) .. query, route.path
    end
    return escape(rooted(ngx.var.uri:sub(#route.path + 1))) .. query, route.path
end

return _M
