-- What HTTPS asks of a request: the right connection for its host, a redirect of plain HTTP, and HSTS.
local authority = require "traffic.authority"
local list = require "tls.table"
local request = require "traffic.request"

local get, set = request.get, request.set

local _M = { is_on = false, REDIRECT = 308, MISDIRECTED = 421 }

local suffix

-- `port` is the published one, as text; nil where there is no listener.
function _M.listen(port)
    _M.is_on = port ~= nil
    suffix = port == "443" and "" or ":" .. (port or "")
    _M.port = port
end

-- The host of a request must be that of its connection, or be served by the same certificate (browsers join such hosts in one
-- HTTP/2 connection). Otherwise a client could come to a host by a handshake that never had to do with it.
local function agrees()
    local host = get("host"):gsub("%.$", "")
    local name = (get("ssl_server_name") or ""):lower():gsub("%.$", "")
    if host == name then
        return true
    end
    local _, id = list.find(host)
    local _, wanted = list.find(name)
    return id ~= nil and id == wanted
end

-- For each request that came by TLS. Returns false when it is on the wrong connection. What a trusted proxy has told stays.
function _M.arrive()
    if (get("client_port") or "") == "" then
        set("client_port", _M.port)
    end
    return agrees()
end

function _M.is_plain()
    return _M.is_on and get("client_proto") == "http"
end

-- 308 keeps the method and the body. The target is as the client wrote it.
function _M.redirect()
    local host = authority.name(get("client_host")) or get("host")
    ngx.header["Location"] = "https://" .. host .. suffix .. get("request_uri")
    return require("traffic.pages").send(_M.REDIRECT)
end

-- Browsers ignore it on plain HTTP, so it goes nowhere else.
function _M.tell_hsts(seconds)
    if get("client_proto") == "https" then
        ngx.header["Strict-Transport-Security"] = "max-age=" .. seconds
    end
end

return _M
