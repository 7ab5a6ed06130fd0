-- Rendered by rackwright: what happens to a request during planned downtime of its model, while none of its servers is usable.
-- Arguments: the map of downtimes (model → expected end, Unix seconds), the seconds after that end when a downtime no longer
-- applies, the map in which a worker sees that it was replaced, and the map of early downtimes (model → end, Unix seconds): new
-- requests wait although a server is usable, which answers those that wait for a slot before it goes down.
local file, forgotten, successors, early_file = ...
local downtimes, replaced, early = Map.new(file, Map._str), Map.new(successors, Map._str), Map.new(early_file, Map._str)

-- HAProxy's own commands don't reach the servers of a worker that was replaced, although its requests still wait for a slot
-- or are retried. Prints nothing on success.
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

-- Return the seconds until the model's downtime should end, at least 1; nil: it has no downtime.
local function remaining(model)
    local ends = tonumber(downtimes:lookup(model) or "")
    local left = ends and ends - core.now().sec
    return left and left > -forgotten and math.max(1, left) or nil
end

-- Return whether a new request of the model should wait.
local function closed(model)
    return core.backends["model." .. model]:get_srv_act() == 0 or (tonumber(early:lookup(model) or "") or 0) > core.now().sec
end

-- Wait at most this many seconds for a server or for the downtime's end. txn.waited has the milliseconds waited so far and is
-- updated. If no server is usable after the wait, txn.retry_after is set to the seconds until one should be. A worker that
-- was replaced stops waiting: it no longer checks servers, and the next worker waits in its place. HAProxy ends the script if
-- the client leaves; then txn.waiting stays set.
core.register_action("downtime", { "http-req" }, function(txn, longest)
    local model, waited = txn:get_var("txn.model"), txn:get_var("txn.waited")
    local began = milliseconds() - waited
    local left = remaining(model)
    if not left then return end
    txn:set_var("txn.waiting", true)
    while left and waited < longest * 1000 and closed(model) and not replaced:lookup("replaced") do
        core.msleep(100)
        left, waited = remaining(model), milliseconds() - began
    end
    txn:unset_var("txn.waiting")
    txn:set_var("txn.waited", waited)
    if left and closed(model) then txn:set_var("txn.retry_after", left) end
end, 1)

-- Set txn.fails if a server of the model is down or fails that should serve: it wasn't drained, no operator took it out at the
-- socket, and the model has no planned downtime.
core.register_action("fails", { "http-req" }, function(txn)
    local model = txn:get_var("txn.model")
    if remaining(model) then return end
    for _, server in pairs(core.backends["model." .. model].servers) do
        if not server:is_draining() and not server:get_stats().status:find("^MAINT") then
            txn:set_var("txn.fails", true)
            return
        end
    end
end)
