-- Asks a replica whether it is healthy, over the path that its traffic will take: from the proxy, straight to the
-- replica's address. `POST /v1/probe`.
local control = require "control"
local json = require "json"

local _M = {}

local LONGEST_BODY = 512
local LONGEST_TIMEOUT_MS = 60000
-- A body is wanted for the report only; an answer that streams for ever is none the less an answer.
local BODY_S = 0.2

local function text(body, field, pattern, fallback)
    local value = body[field]
    if value == nil or value == json.null then
        value = fallback
    end
    if type(value) ~= "string" or not value:find(pattern) then
        control.refuse(422, "invalid_probe", ("`%s` is not valid"):format(field), { field = field })
    end
    return value
end

local function number(body, field, most, fallback)
    local value = body[field] or fallback
    if type(value) ~= "number" or value ~= math.floor(value) or value < 1 or value > most then
        control.refuse(422, "invalid_probe", ("`%s` is not a whole number from 1 to %d"):format(field, most),
            { field = field })
    end
    return value
end

local function headers_of(socket)
    local headers = {}
    while true do
        local line, problem = socket:receive("*l")
        if not line then
            return nil, problem
        end
        if line == "" then
            return headers
        end
        local name, value = line:match("^([^:]+):%s*(.-)%s*$")
        if name then
            headers[name:lower()] = value
        end
    end
end

-- The content of what has come of a chunked body so far, and whether it is all there is.
local function unchunked(raw)
    local parts, position = {}, 1
    while true do
        local size, data = raw:match("^(%x+)[^\n]*\n()", position)
        size = size and tonumber(size, 16)
        if not size or size == 0 then
            return table.concat(parts), size == 0
        end
        parts[#parts + 1] = raw:sub(data, data + size - 1)
        position = data + size + 2
    end
end

-- The body's beginning. `receiveany` takes what is there, so a slow stream is cut by the clock and not by its pauses.
local function read_body(socket, headers)
    local is_chunked = (headers["transfer-encoding"] or ""):lower():find("chunked", 1, true)
    local length = tonumber(headers["content-length"]) or math.huge
    local began, raw = ngx.now(), ""
    local content, is_whole = "", length == 0
    while not is_whole and #content < LONGEST_BODY do
        local left_s = BODY_S - (ngx.now() - began)
        if left_s <= 0 then
            break
        end
        socket:settimeout(left_s * 1000)
        local data = socket:receiveany(2 * LONGEST_BODY)
        if not data then
            break
        end
        raw = raw .. data
        if is_chunked then
            content, is_whole = unchunked(raw)
        else
            content, is_whole = raw, #raw >= length
        end
    end
    return content:sub(1, LONGEST_BODY)
end

-- Returns the status and the body's beginning, or nil and why there is none. `left_ms` tells what remains of the time.
local function ask(socket, wanted, left_ms)
    socket:settimeout(left_ms())
    local ok, problem = socket:connect(wanted.address, wanted.port)
    if not ok then
        return nil, problem
    end
    socket:settimeout(left_ms())
    ok, problem = socket:send(("GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: deploy-apps-probe\r\nAccept: */*\r\n"
        .. "X-Forwarded-Proto: http\r\nX-Forwarded-Host: %s\r\nConnection: close\r\n\r\n"):format(wanted.path,
        wanted.host, wanted.host))
    if not ok then
        return nil, problem
    end
    while true do
        socket:settimeout(left_ms())
        local line
        line, problem = socket:receive("*l")
        if not line then
            return nil, problem
        end
        local status = tonumber(line:match("^HTTP/1%.[01] (%d%d%d)"))
        if not status then
            return nil, "the answer is not HTTP"
        end
        local headers
        headers, problem = headers_of(socket)
        if not headers then
            return nil, problem
        end
        -- 1xx only announces the answer.
        if status >= 200 then
            return status, read_body(socket, headers)
        end
    end
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
        return math.max(1, timeout_ms - (ngx.now() - began) * 1000)
    end
    local socket = ngx.socket.tcp()
    local status, result = ask(socket, wanted, left_ms)
    socket:close()
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
