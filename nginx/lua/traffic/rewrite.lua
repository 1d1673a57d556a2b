-- What of a request's path is sent on where its path decides who gets it. Router and app must see one path: nginx decodes
-- it, merges slashes and follows dot segments, and the app may read what the client wrote in another way. So it goes as it
-- was written only while every reading of it stays at the same route. Otherwise what was matched is sent, and what no two
-- programs read alike is refused. All of it is one pass over the bytes, without a string for each.
local byte, find = string.byte, string.find

local _M = {}

local PERCENT, DOT, SLASH, SEMICOLON, BACKSLASH = 37, 46, 47, 59, 92

-- Of a path that must be written again. Nobody has a longer one with dot segments that lead out of its route.
local LONGEST_REWRITTEN = 4096
-- As schema.lua has it.
local LONGEST_ROUTE = 1024

local HEX = {}
for value = 0, 15 do
    HEX[byte(("%x"):format(value))] = value
    HEX[byte(("%X"):format(value))] = value
end

local ESCAPED, DECODED = {}, {}
for value = 0, 255 do
    ESCAPED[string.char(value)] = ("%%%02X"):format(value)
    DECODED[("%02x"):format(value)] = string.char(value)
end

-- The character at a position, and how many bytes spell it.
local function unit(raw, at)
    local char = byte(raw, at)
    if char == PERCENT then
        local high, low = HEX[byte(raw, at + 1)], HEX[byte(raw, at + 2)]
        if high and low then
            return high * 16 + low, 3
        end
    end
    return char, 1
end

-- How many bytes of `raw` spell `prefix` and end at a slash or the end; nil when it is not there. `%67o` spells `go`.
local function spelled_length(raw, stop, prefix)
    if prefix == "/" then
        return 0
    end
    local position = 1
    for at = 1, #prefix do
        local char, width = unit(raw, position)
        if char ~= byte(prefix, at) or char == SLASH and width > 1 then
            return nil
        end
        position = position + width
    end
    return (position == stop + 1 or byte(raw, position) == SLASH) and position - 1 or nil
end

-- Reads the segments from `from` on as loosely as any program does. Returns whether one is a dot segment; whether some program
-- would see a separator that another does not; whether some would take another segment away, as one that keeps empty segments
-- or knows `%2e` for a mere name does; and the least depth that is reached: below 0 it leads out.
local function walk(raw, from, stop)
    local has_plain_dots, has_escaped_dots, is_loose, is_unclear = false, false, false, false
    local depth, lowest, was_empty = 0, 0, true
    local dots, is_named, has_parameters, has_escape = 0, false, false, false
    local at = from
    while at <= stop + 1 do
        local char, width = SLASH, 1
        if at <= stop then
            char, width = unit(raw, at)
        end
        if char == SLASH or char == BACKSLASH then
            is_loose = is_loose or width > 1
            if not is_named and (dots == 1 or dots == 2) then
                has_escaped_dots = has_escaped_dots or has_escape
                has_plain_dots = has_plain_dots or not has_escape
                is_loose = is_loose or has_parameters
                is_unclear = is_unclear or dots == 2 and was_empty
                depth = depth - dots + 1
                lowest = depth < lowest and depth or lowest
            elseif is_named or dots > 0 then
                depth = depth + 1
            end
            was_empty = not is_named and dots == 0
            dots, is_named, has_parameters, has_escape = 0, false, false, false
        elseif char == SEMICOLON and not is_named then
            -- To a servlet container `..;` is `..`.
            has_parameters = true
        elseif char == DOT and not is_named and not has_parameters then
            dots = dots + 1
            has_escape = has_escape or width > 1
        elseif not has_parameters then
            is_named = true
        end
        at = at + width
    end
    is_unclear = is_unclear or has_plain_dots and has_escaped_dots
    return has_plain_dots or has_escaped_dots, is_loose, is_unclear, lowest
end

local function decoded(hex)
    return DECODED[hex:lower()]
end

-- The beginning of the path as a program sees it that follows no dot segments, as far as a route reaches.
local function as_written(raw, stop)
    return (raw:sub(1, math.min(stop, 3 * LONGEST_ROUTE + 3)):gsub("%%(%x%x)", decoded))
end

-- In no path of RFC 3986. Some take the one for a slash, the other for the path's end.
local function has_foreign(raw, stop)
    local backslash, hash = find(raw, "\\", 1, true), find(raw, "#", 1, true)
    return backslash and backslash <= stop or hash and hash <= stop
end

-- Is the path as the client wrote it the one that was matched, byte for byte?
local function is_plain(raw, stop, uri)
    return #uri == stop and (#raw == stop and raw or raw:sub(1, stop)) == uri
        and not find(raw, "\\", 1, true) and not find(uri, "/%.%.?;")
end

-- A path of ours begins with one slash: `//name/…` would name a host where the app redirects to it.
local function rooted(rest)
    return "/" .. rest:gsub("^/+", "")
end

local function rewritten(route, uri, query)
    if #uri > LONGEST_REWRITTEN then
        return nil
    end
    local path = route.strip and route.path ~= "/" and rooted(uri:sub(#route.path + 1)) or uri
    return path:gsub("[^A-Za-z0-9/._~!$&'()*+,;=:@-]", ESCAPED) .. query
end

local function stripped(raw, stop, length)
    return rooted(raw:sub(length + 1, stop)) .. raw:sub(stop + 1)
end

-- `uri` is the path that was matched; `choose(found, path)` gives the route of another. Returns false for a path that is
-- refused, and otherwise the target to send: nil is `raw` itself.
function _M.target(route, raw, uri, choose, found)
    local given = raw
    if byte(raw, 1) ~= SLASH then
        raw = "/" .. raw
    end
    local stop = (find(raw, "?", 1, true) or #raw + 1) - 1
    local is_stripped = route.strip and route.path ~= "/"
    if is_plain(raw, stop, uri) then
        return is_stripped and stripped(raw, stop, #route.path) or nil
    end
    local length = spelled_length(raw, stop, route.path)
    local has_dots, is_loose, is_unclear, lowest = walk(raw, (length or 0) + 1, stop)
    if has_foreign(raw, stop) or has_dots and is_loose then
        return false
    end
    local leads_out = not length or lowest < 0 or is_unclear or has_dots and is_stripped
    if leads_out or has_dots and choose(found, as_written(raw, stop)) ~= route then
        return rewritten(route, uri, raw:sub(stop + 1)) or false
    end
    if is_stripped then
        return stripped(raw, stop, length)
    end
    return raw ~= given and raw or nil
end

return _M
