-- Rendered by rackwright: whether a replica of the model fails that should serve. One that was drained, or that an operator
-- took out of service at the socket, isn't meant to.
core.register_action("replicas", { "http-req" }, function(txn)
    local backend = core.backends["model." .. txn:get_var("txn.model")]
    for _, server in pairs(backend.servers) do
        local out = server:is_draining() or server:get_stats().status:find("^MAINT")
        if not out then
            txn:set_var("txn.fails", "yes")
            return
        end
    end
end)
