-- Files on the state volume, which nobody but the proxy's user may read (run.sh sets the umask), and commands.
local json = require "cjson.safe"

local _M = { FOLDER = "/var/lib/deploy-apps/acme" }

function _M.read(path)
    local file = io.open(path, "rb")
    if not file then
        return nil
    end
    local text = file:read("*a")
    file:close()
    return text
end

-- Whole or not at all, also by a power cut.
local function write(path, text)
    local temporary = path .. ".new"
    local file, why = io.open(temporary, "wb")
    if not file then
        return nil, why
    end
    local ok
    ok, why = file:write(text)
    local closed, problem = file:close()
    if not ok or not closed then
        os.remove(temporary)
        return nil, why or problem
    end
    if _M.run("sync %s", temporary) ~= 0 then
        return nil, "cannot sync " .. temporary
    end
    return os.rename(temporary, path)
end

function _M.read_json(path)
    local text = _M.read(path)
    local value = text and json.decode(text)
    return type(value) == "table" and value or nil
end

local function quoted(text)
    return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- Runs a command with each `%s` replaced by an argument, as one word. Returns its exit code.
function _M.run(command, ...)
    local words = {}
    for at, word in ipairs { ... } do
        words[at] = quoted(word)
    end
    return math.floor(os.execute(command:format(unpack(words))) / 256)
end

function _M.names(folder)
    local found = {}
    local list = io.popen("ls -1 " .. quoted(folder) .. " 2> /dev/null")
    for name in list:lines() do
        found[#found + 1] = name
    end
    list:close()
    return found
end

-- The name of a host's file in a folder of them.
function _M.of_host(folder, host)
    return ("%s/%s/%s.json"):format(_M.FOLDER, folder, (host:gsub("^%*", "+")))
end

function _M.make(folder)
    return _M.run("mkdir -p %s", _M.FOLDER .. "/" .. folder) == 0
end

-- Into the host's file in this folder. Returns its path, or nil and why not.
function _M.keep(folder, host, value)
    local path = _M.of_host(folder, host)
    if not _M.make(folder) then
        return nil, "the state volume cannot be written"
    end
    local ok, why = write(path, json.encode(value))
    return ok and path, why
end

return _M
