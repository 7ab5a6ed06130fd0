-- Rendered by rackwright: how many tokens an answer says that it took.
local find, gmatch, match = string.find, string.gmatch, string.match

-- Names of counts in `usage` and in llama-server's `timings` → what they count. Anthropic's input doesn't contain what was
-- cached.
local NAMES = {
    prompt_tokens = "prompt", completion_tokens = "completion", cached_tokens = "cached",
    input_tokens = "prompt", output_tokens = "completion",
    cache_read_input_tokens = "read", cache_creation_input_tokens = "created",
    prompt_n = "computed", cache_n = "cached", predicted_n = "completion",
}
local OBJECTS = { usage = true, timings = true }
-- More digits than these aren't a count.
local MOST_DIGITS = 10

-- Add what this text of an answer counts to `counts`, and return whether it counts anything. Of counts of the same the last one
-- is the total. What a model says can't look like one: a quote within a string is written \".
function count_tokens(text, counts)
    local found, at = false, 1
    while true do
        local _, brace, object = find(text, '"(%l+)"%s*:%s*{', at)
        if not brace then return found end
        at = brace + 1
        for name, number in gmatch(OBJECTS[object] and match(text, "^%b{}", brace) or "", '"([%l_]+)"%s*:%s*(%d+)') do
            local what = NAMES[name]
            if what and #number <= MOST_DIGITS then
                counts[what], found = tonumber(number), true
            end
        end
    end
end

-- Return the tokens of the prompt, those of them that were computed before, and those of the answer; each nil if unknown.
function tokens(counts)
    local prompt, cached = counts.prompt, counts.cached
    if counts.read or counts.created then
        prompt, cached = (prompt or 0) + (counts.read or 0) + (counts.created or 0), counts.read or 0
    elseif not prompt and counts.computed then
        prompt = counts.computed + (cached or 0)
    end
    return prompt, cached, counts.completion
end

-- Return how many events of a stream begin in this text.
function events_in(text)
    local _, count = text:gsub("data: ?{", "")
    return count
end

-- Whether a text may count tokens. Most don't, and this is faster than a pattern.
function may_count(text)
    return find(text, '"usage"', 1, true) or find(text, '"timings"', 1, true)
end
