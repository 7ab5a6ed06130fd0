-- Rendered by rackwright: what becomes of a request while its model has a planned downtime and none of its servers is usable.
-- Arguments: the map of downtimes (model → their expected ends, Unix seconds), seconds after which one is heeded no more, the
-- map that tells a worker that it was replaced.
local file, forgotten, successors = ...
local downtimes, replaced = Map.new(file, Map._str), Map.new(successors, Map._str)

-- HAProxy changes no server of a worker that was replaced, where requests still wait for a slot or are tried again.
-- Says nothing where it is done.
core.register_cli({ "replaced" }, "replaced drain|ready BACKEND SERVER", function(applet, _, state, backend, name)
    local servers = core.backends[backend] and core.backends[backend].servers
    local server = servers and servers[name]
    if not server then
        applet:send("no such server\n")
    elseif state == "drain" then
        server:set_drain()
    elseif state == "ready" then
        server:set_ready()
    else
        applet:send("drain or ready\n")
    end
end)

local function milliseconds()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

-- Seconds until the model's downtime should end, at least 1. nil: it has none.
local function remaining(model)
    local ends = tonumber(downtimes:lookup(model) or "")
    local left = ends and ends - core.now().sec
    return left and left > -forgotten and math.max(1, left) or nil
end

-- Wait so many seconds at most for a server, or the downtime's end. txn.waited has the milliseconds waited, before and
-- afterwards; afterwards txn.retry_after has, where no server is usable yet, the seconds until one should be. A worker
-- that was replaced waits no more: it checks no server, and the next one waits in its place.
core.register_action("downtime", { "http-req" }, function(txn, longest)
    local model, waited = txn:get_var("txn.model"), txn:get_var("txn.waited")
    local began = milliseconds() - waited
    local servers, left = core.backends["model." .. model], remaining(model)
    if not left then return end
    while left and waited < longest * 1000 and servers:get_srv_act() == 0 and not replaced:lookup("replaced") do
        core.msleep(100)
        left, waited = remaining(model), milliseconds() - began
    end
    txn:set_var("txn.waited", waited)
    if left and servers:get_srv_act() == 0 then txn:set_var("txn.retry_after", left) end
end, 1)
