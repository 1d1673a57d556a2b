-- Calls of the proxy's control API, over its socket on the state volume.
local files = require "files"
local json = require "cjson.safe"

local _M = {}

local SOCKET = "/var/lib/deploy-apps/run/control.sock"
local REQUEST, ANSWER = "/tmp/request", "/tmp/answer"

-- Returns the status and the answer; nil and why when there is none.
function _M.call(method, path, body)
    local text = body and json.encode(body) or ""
    local file = assert(io.open(REQUEST, "wb"))
    file:write(("%s %s HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s"):format(method, path, #text, text))
    file:close()
    local code = files.run("socat -t30 - UNIX-CONNECT:%s < %s > %s 2> /dev/null", SOCKET, REQUEST, ANSWER)
    -- It may hold a key.
    os.remove(REQUEST)
    local answer = files.read(ANSWER) or ""
    os.remove(ANSWER)
    local status, rest = answer:match("^HTTP/[%d.]+ (%d+).-\r\n\r\n(.*)$")
    local value = rest and json.decode(rest)
    if not value then
        return nil, ("the proxy does not answer (socat ends with %d)"):format(code)
    end
    return tonumber(status), value
end

-- By host; nil and why when they cannot be had.
function _M.certificates()
    local status, answer = _M.call("GET", "/v1/certificates")
    if status ~= 200 then
        return nil, status and answer.error.message or answer
    end
    local found = {}
    for _, one in ipairs(answer.certificates) do
        found[one.host] = one
    end
    return found
end

-- The hosts of routes that are served over HTTPS. What no route needs is not renewed.
function _M.needed()
    local found = {}
    local status, answer = _M.call("GET", "/v1/state")
    for _, app in pairs(status == 200 and answer.apps or {}) do
        for _, route in ipairs(app.record ~= json.null and app.record.routes or {}) do
            if route.tls and route.tls ~= json.null then
                found[route.host] = true
            end
        end
    end
    return found
end

-- Gives it a certificate: { host, project, replaces, chain, key }. Returns whether it has it, why not, and whether that is final.
function _M.store(entry)
    for _ = 1, 3 do
        local known, problem = _M.certificates()
        if not known then
            return false, problem
        end
        local now = known[entry.host]
        local status, answer = _M.call("POST", "/v1/certificates", {
            host = entry.host, project = entry.project, replaces = entry.replaces, chain = entry.chain, key = entry.key,
            source = "acme", expect = now and now.id ~= json.null and now.id or nil,
        })
        if status == 200 then
            return true
        elseif not status then
            return false, answer
        elseif answer.error.code ~= "certificate_moved" then
            return false, answer.error.message, status < 500
        end
    end
    return false, "its certificate changes all the time"
end

function _M.tell(host, attempt)
    local body = { host = host }
    if attempt then
        body.failures, body.error = attempt.failures, attempt.error:sub(1, 900)
        body.at, body.next_at = attempt.at * 1000, attempt.next_at * 1000
    end
    return _M.call("POST", "/v1/certificates/renewal", body)
end

return _M
