package expr

const notRandom = ": a retry must compute the same; md5 or xxhash64 of a key column spreads rows as evenly"

// refused are functions that a batch job must not have, and why.
var refused = map[string]string{
	"random": "random gives another value at every run" + notRandom, "rand": "rand gives another value at every run" + notRandom, "setseed": "there is no random to seed" + notRandom,
	"gen_random_uuid": "gen_random_uuid gives another value at every run" + notRandom, "uuid": "uuid gives another value at every run" + notRandom,
	"clock_timestamp":       "clock_timestamp gives another value at every call: use now(), the time of the event, which a retry sees too",
	"nextval":               "there are no sequences: rows have no order that a retry would repeat",
	"unnest":                "unnest makes several rows of one, which no expression can: use array_length, x[1] or array_to_string here",
	"regexp_split_to_table": "an expression gives one value a row: use regexp_split_to_array", "string_to_table": "an expression gives one value a row: use string_to_array",
}
