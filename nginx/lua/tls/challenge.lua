-- Answers a CA that asks over plain HTTP whether a host is ours (ACME, http-01): before any route, redirect or app. The files come
-- from the container that gets certificates, and are there only while it orders one.
local request = require "traffic.request"
local state_files = require "state.files"

local _M = {}

local FOLDER = "/var/lib/deploy-apps/acme/www/.well-known/acme-challenge/"
-- Of base64url, as the protocol has it: no path.
local TOKEN = "^/%.well%-known/acme%-challenge/([%w_-]+)$"
local LONGEST = 200

-- Returns whether it was one of ours; then it is answered.
function _M.run()
    local token = request.get("uri"):match(TOKEN)
    local text = token and #token <= LONGEST and state_files.read(FOLDER .. token)
    if not text then
        return false
    end
    ngx.header["Content-Type"] = "application/octet-stream"
    ngx.header["Content-Length"] = #text
    ngx.print(text)
    ngx.exit(ngx.HTTP_OK)
    return true
end

return _M
