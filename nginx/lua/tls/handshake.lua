-- Chooses a handshake's certificate by the name that the client asks for. Without a name, or for one without a certificate,
-- there is none to give, and TLS ends the handshake by itself: nobody is shown a certificate that is not meant for them.
local lrucache = require "resty.lrucache"
local ssl = require "ngx.ssl"
local list = require "tls.table"
local x509 = require "tls.x509"

-- Each takes some 10 KB in a worker.
local MOST_PARSED = 500

local _M = {}

local parsed = assert(lrucache.new(MOST_PARSED))

local function certificate(name)
    local host, id = list.find(name)
    if not host then
        return nil
    end
    local known = parsed:get(host)
    if known and known.id == id then
        return known
    end
    local pair, field, why = x509.parse(list.pem(host))
    if not pair then
        ngx.log(ngx.ERR, "certificates: the ", field, " of `", host, "` ", why)
        return nil
    end
    pair.id = id
    parsed:set(host, pair)
    return pair
end

function _M.run()
    ssl.clear_certs()
    local name = ssl.server_name()
    local pair = name and certificate(name:lower():gsub("%.$", ""))
    if pair then
        assert(ssl.set_cert(pair.chain))
        assert(ssl.set_priv_key(pair.key))
    end
end

return _M
