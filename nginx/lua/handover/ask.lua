-- A call to another proxy's control socket.
local ffi = require "ffi"
local instance = require "handover.instance"
local json = require "json"

ffi.cdef "int access(const char *path, int mode);"

local CONNECT_MS = 500

-- Returns the answer's status and decoded body, or nil, why there is none, and whether nobody is there any more.
return function(number, method, path, body, timeout_ms)
    local path_of_socket = instance.socket(number)
    -- nginx would write a line about it.
    if ffi.C.access(path_of_socket, 0) ~= 0 then
        return nil, "it has no socket", true
    end
    local socket = ngx.socket.tcp()
    socket:settimeouts(CONNECT_MS, timeout_ms, timeout_ms)
    local ok, problem = socket:connect("unix:" .. path_of_socket)
    if not ok then
        local is_gone = problem:find("refused", 1, true) or problem:find("no such file", 1, true)
        return nil, problem, is_gone ~= nil
    end
    body = body or ""
    local text
    ok, problem = socket:send(("%s %s HTTP/1.0\r\nHost: proxy\r\nContent-Length: %d\r\n\r\n%s"):format(method, path, #body, body))
    if ok then
        text, problem = socket:receive("*a")
    end
    socket:close()
    local status = tonumber((text or ""):match("^HTTP/1%.%d (%d+)"))
    if not status then
        return nil, problem or "it closed the connection"
    end
    return status, json.decode(text:match("\r\n\r\n(.*)$") or "") or {}
end
