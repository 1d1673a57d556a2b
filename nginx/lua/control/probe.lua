-- Asks a replica whether it is healthy, the way its traffic will go: through nginx and its settings for all apps, so that
-- an answer which nginx would not pass on does not pass here. `POST /v1/probe`.
local refuse = require("control.problem").refuse
local json = require "json"
local probed = require "control.probed"

local _M = {}

local LONGEST_BODY = 512
-- With the frames of its chunks, which may hold a byte each.
local LONGEST_RAW_BODY = 8 * 1024
-- nginx passes on a head of 32 KB, and adds a little.
local LONGEST_HEAD = 64 * 1024
local LONGEST_TIMEOUT_MS = 60000
-- A body is wanted for the report only; an answer that streams for ever is none the less an answer.
local BODY_S = 0.2

local function text(body, field, pattern, fallback)
    local value = body[field]
    if value == nil or value == json.null then
        value = fallback
    end
    if type(value) ~= "string" or not value:find(pattern) then
        refuse(422, "invalid_probe", ("`%s` is not valid"):format(field), { field = field })
    end
    return value
end

local function number(body, field, most, fallback)
    local value = body[field] or fallback
    if type(value) ~= "number" or value ~= math.floor(value) or value < 1 or value > most then
        refuse(422, "invalid_probe", ("`%s` is not a whole number from 1 to %d"):format(field, most),
            { field = field })
    end
    return value
end

-- The content of what has come of a chunked body so far, and whether it is all there is. The chunks are nginx's own.
local function unchunked(raw)
    local parts, position = {}, 1
    while true do
        local size, data = raw:match("^(%x+)\r\n()", position)
        size = size and tonumber(size, 16)
        if not size or size == 0 then
            return table.concat(parts), size == 0
        end
        parts[#parts + 1] = raw:sub(data, data + size - 1)
        position = data + size + 2
    end
end

-- Reads on until `is_enough(text)`, for at most `most` bytes and as long as `left_ms` says. `receiveany` takes what is
-- there, so a slow stream is cut by the clock and not by its pauses. Returns the text, and why it ended too early.
local function read(socket, read_before, most, left_ms, is_enough)
    local raw = read_before
    while not is_enough(raw) do
        local left = left_ms()
        if left <= 0 then
            return raw, "timeout"
        end
        if #raw >= most then
            return raw, "too long"
        end
        socket:settimeout(left)
        local data, problem = socket:receiveany(most - #raw)
        if not data then
            return raw, problem
        end
        raw = raw .. data
    end
    return raw
end

-- The answer's head: its status, what of it is needed, and the beginning of the body.
local function read_head(socket, left_ms)
    local raw, problem = read(socket, "", LONGEST_HEAD, left_ms, function(seen)
        return seen:find("\r\n\r\n", 1, true)
    end)
    if problem then
        return nil, problem
    end
    local lines, rest = raw:match("^(.-\r\n)\r\n(.*)$")
    local head = { status = tonumber(lines:match("^HTTP/1%.1 (%d%d%d)")), rest = rest }
    for name, value in lines:gmatch("\n([^:\r\n]+): *([^\r\n]*)") do
        name = name:lower()
        if name == "x-deploy-apps-connection" then
            -- nginx adds its own after what the app has sent.
            head.connection = value:match("^%d+$")
        elseif name == "content-length" then
            head.length = tonumber(value)
        elseif name == "transfer-encoding" then
            head.is_chunked = true
        end
    end
    return head
end

-- The body's beginning, and whether it broke off before the end that its head had promised.
local function read_body(socket, head, left_ms)
    local content, is_whole = "", false
    local deadline = ngx.now() + math.min(BODY_S, left_ms() / 1000)
    local function is_enough(raw)
        if head.is_chunked then
            content, is_whole = unchunked(raw)
        else
            content, is_whole = raw, #raw >= (head.length or math.huge)
        end
        return is_whole or #content >= LONGEST_BODY
    end
    local _, problem = read(socket, head.rest, LONGEST_RAW_BODY, function()
        return (deadline - ngx.now()) * 1000
    end, is_enough)
    local is_framed = head.is_chunked or head.length
    local is_empty = head.status == 204 or head.status == 304
    return content:sub(1, LONGEST_BODY), problem == "closed" and is_framed and not is_empty
end

-- What nginx met, in the words of who reads a deploy's output.
local function told(words)
    if words:find("^connect%(%) failed") or words:find("^recv%(%) failed") or words:find("^writev?%(%) failed")
        or words:find("^send%(%) failed") then
        local reason = words:match("%(%d+: ([^)]+)%)")
        return reason and reason:lower() or words
    elseif words:find("timed out .* while connecting") then
        return "connection timed out"
    elseif words:find("prematurely closed connection while reading response header", 1, true) then
        return "connection closed before an answer"
    end
    return "nginx refuses the answer: " .. words
end

-- Returns the status and the body's beginning, or nil and why there is none. `left_ms` tells what remains of the time.
local function ask(socket, wanted, left_ms)
    socket:settimeout(left_ms())
    local ok, problem = socket:connect(probed.SOCKET)
    if not ok then
        return nil, problem
    end
    ok, problem = socket:send(("GET %s HTTP/1.1\r\nHost: %s\r\n%s: %s:%d\r\nUser-Agent: deploy-apps-probe\r\nAccept: */*\r\n"
        .. "X-Real-IP: 127.0.0.1\r\nConnection: close\r\n\r\n"):format(wanted.path, wanted.host, probed.PEER_HEADER,
        wanted.address, wanted.port))
    if not ok then
        return nil, problem
    end
    local head
    head, problem = read_head(socket, left_ms)
    if not head then
        local words = problem == "closed" and probed.words(nil, wanted.address, wanted.port)
        return nil, words and told(words) or problem
    end
    local body, is_broken_off = read_body(socket, head, left_ms)
    local words = (is_broken_off or head.status >= 400) and head.connection
        and probed.words(head.connection)
    if words then
        return nil, told(words)
    elseif is_broken_off then
        return nil, "the answer broke off before its end"
    end
    return head.status, body
end

function _M.probe(body)
    local timeout_ms = number(body, "timeout_ms", LONGEST_TIMEOUT_MS, 1000)
    local wanted = {
        address = text(body, "address", "^[%x.:]+$"),
        port = number(body, "port", 65535),
        path = text(body, "path", "^/[^%c%s]*$", "/"),
    }
    wanted.host = text(body, "host", "^[%w.:%[%]_-]+$", wanted.address)
    if wanted.address:find(":", 1, true) then
        wanted.address = "[" .. wanted.address .. "]"
    end
    ngx.update_time()
    local began = ngx.now()
    local function left_ms()
        return timeout_ms - (ngx.now() - began) * 1000
    end
    local socket = ngx.socket.tcp()
    local status, result = ask(socket, wanted, left_ms)
    socket:close()
    probed.trim()
    ngx.update_time()
    local duration_ms = math.floor((ngx.now() - began) * 1000 + 0.5)
    if not status then
        if result == "timeout" then
            result = ("no answer within %d ms"):format(timeout_ms)
        elseif result == "closed" then
            result = "connection closed before an answer"
        end
        return ('{"ok":false,"status":null,"error":%s,"body":null,"duration_ms":%d}'):format(json.encode(result),
            duration_ms)
    end
    return ('{"ok":%s,"status":%d,"error":null,"body":%s,"duration_ms":%d}'):format(
        tostring(status >= 200 and status < 400), status, json.encode(json.printable(result)), duration_ms)
end

return _M
