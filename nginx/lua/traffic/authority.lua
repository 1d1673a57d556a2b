-- The host that a request is for. One host decides and is told to the app (RFC 9112, section 3.2.2): that of an absolute
-- request target, otherwise the `Host` header. What is no host with an optional port is refused, whole.
local request = require "traffic.request"

local get = request.get
local byte, find = string.byte, string.find

local _M = {}

-- What DNS allows, without the dot at the end. No label is empty, so this is also a limit of 127 labels.
local LONGEST_NAME = 253
local LONGEST_ADDRESS = #"[0000:0000:0000:0000:0000:0000:255.255.255.255]"
local LONGEST = LONGEST_NAME + #".:65535"

local SLASH = 47

local function is_name(name)
    return #name <= LONGEST_NAME and find(name, "^[%w_-][%w._-]*$")
end

local function is_address(name)
    return #name <= LONGEST_ADDRESS and find(name, "^%[%x*:[%x:.]*:[%x.]*%]$")
end

-- An empty port is allowed by the grammar, and means none.
local function is_port(port)
    if port == "" then
        return true
    end
    local number = #port <= 5 and tonumber(port) or 0
    return number >= 1 and number <= 65535
end

-- The name in `<host>[:<port>]`, in lower case and without the dot at its end; nil when it is not such a text.
function _M.name(text)
    if #text > LONGEST then
        return nil
    end
    local host, port = text:match("^(.*):(%d*)$")
    if not host or not is_port(port) then
        -- An IPv6 address without a port ends with `]`; any other colon is wrong.
        host = not host and text or ""
    end
    if find(host, "..", 1, true) then
        return nil
    end
    local name = host:gsub("%.$", "")
    return (is_name(name) or is_address(host)) and name:lower() or nil
end

-- HTTP/1.0 may leave out the host. The app gets one nevertheless: the address that the client has reached.
local function of_old_client()
    local protocol = get("server_protocol")
    if protocol ~= "HTTP/1.0" and protocol ~= "HTTP/0.9" then
        return ""
    end
    local address = get("server_addr")
    return find(address, ":", 1, true) and "[" .. address .. "]" or address
end

-- Makes `text` what the app sees as `Host` and `X-Forwarded-Host`.
local function tell(text)
    if _M.name(text) then
        ngx.req.set_header("Host", text)
    end
    return text
end

-- The host as the client wrote it, unchecked; empty when there is none.
function _M.asked()
    local line = get("request") or ""
    local space = find(line, " ", 1, true)
    if space and byte(line, space + 1) ~= SLASH then
        local named = line:match("^%S+ %a[%w+.-]*://([^/?#%s]*)")
        if named then
            return tell(named)
        end
    end
    local host = get("http_host")
    if not host or host == "" then
        return tell(of_old_client())
    end
    return host
end

return _M
