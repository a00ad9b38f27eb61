package expr

// Operator is what the reference says about a piece of syntax that is no function.
type Operator struct {
	Form    string // "a BETWEEN x AND y"
	Doc     string // one sentence
	Example string // an expression without columns
	Result  string // what the example gives, as text; NULL for a null
}

// Operators lists the operators and other syntax by precedence, the weakest first, for the generated reference.
func Operators() []Operator { return operatorList }

var operatorList = []Operator{
	{"a OR b", "True if one is, null if neither is and one is null.", "NULL OR TRUE", "true"},
	{"a AND b", "False if one is, null if neither is and one is null.", "NULL AND FALSE", "false"},
	{"NOT a", "The opposite; null of null.", "NOT FALSE", "true"},
	{"a IS [NOT] NULL", "Whether a value is null. Also a ISNULL, a NOTNULL.", "NULL IS NULL", "true"},
	{"a IS [NOT] TRUE, FALSE, UNKNOWN", "Whether a condition is true, false or null; never null itself.", "NULL IS NOT TRUE", "true"},
	{"a IS [NOT] DISTINCT FROM b", "<> (=) for which null is a value like any other.", "NULL IS DISTINCT FROM 1", "true"},
	{"(a, b) OVERLAPS (c, d)", "Whether two periods share a moment: see the function overlaps.", "(TIME '10:00', TIME '12:00') OVERLAPS (TIME '11:59', INTERVAL '1 hour')", "true"},
	{"a = b", "Equality; null if one side is. NaN equals itself.", "1.0 = 1", "true"},
	{"a <> b", "Inequality. Also !=.", "'a' <> 'A'", "true"},
	{"a < b", "Less than; texts by their bytes, NaN after all numbers.", "'Z' < 'a'", "true"},
	{"a <= b", "Less than or equal.", "2 <= 2", "true"},
	{"a > b", "Greater than.", "DATE '2026-11-22' > '2026-01-01'", "true"},
	{"a >= b", "Greater than or equal.", "1 >= 2", "false"},
	{"a op ANY (list)", "Whether a comparison holds with some element of a list; null if with none but one element is null. Also SOME.", "3 = ANY (ARRAY[1, 3])", "true"},
	{"a op ALL (list)", "Whether a comparison holds with each element of a list.", "3 > ALL (ARRAY[1, 2])", "true"},
	{"a [NOT] BETWEEN x AND y", "x <= a AND a <= y.", "2 BETWEEN 1 AND 3", "true"},
	{"a [NOT] BETWEEN SYMMETRIC x AND y", "The same with the bounds in either order.", "2 BETWEEN SYMMETRIC 3 AND 1", "true"},
	{"a [NOT] IN (x, …)", "Whether a value is one of those in the list.", "2 IN (1, 2)", "true"},
	{"a [NOT] LIKE pattern [ESCAPE c]", "Whether a whole text matches a pattern: % is any characters, _ one, \\ takes the next as it is.", "'trips.csv' LIKE '%.csv'", "true"},
	{"a [NOT] ILIKE pattern [ESCAPE c]", "LIKE for any letter case.", "'Trips.CSV' ILIKE '%.csv'", "true"},
	{"a [NOT] SIMILAR TO pattern [ESCAPE c]", "LIKE with | * + ? { } ( ) and [ ] of regular expressions.", "'abc' SIMILAR TO '%(b|d)%'", "true"},
	{"a ~ pattern", "Whether a regular expression (RE2's syntax) matches anywhere in a text. a !~ pattern is the opposite.", "'Route 66' ~ '\\d+'", "true"},
	{"a ~* pattern", "The same for any letter case. a !~* pattern is the opposite.", "'Route 66' ~* '^route'", "true"},
	{"a !~ pattern", "Whether a regular expression matches nowhere in a text.", "'abc' !~ '\\d'", "true"},
	{"a !~* pattern", "The same for any letter case.", "'abc' !~* 'B'", "false"},
	{"a || b", "Two texts, two binary values or two lists end to end, or a list and an element; what stands beside a text is printed.", "'no. ' || 7", "no. 7"},
	{"json -> key", "The value of a key, or of an index counted from 0 (from the end for a negative one), as json; null if there is none. Also json[key].", "'{\"a\": [1, 2]}'::json -> 'a' -> -1", "2"},
	{"json ->> key", "The same as text; a JSON null is null.", "'{\"a\": \"x\"}'::json ->> 'a'", "x"},
	{"json #> path", "The value at a path of keys and indexes, as json.", "'{\"a\": [1, {\"b\": 2}]}'::json #> '{a,1,b}'", "2"},
	{"json #>> path", "The same as text.", "'{\"a\": [\"x\"]}'::json #>> ARRAY['a', '0']", "x"},
	{"a & b", "The bits set in both integers.", "5 & 3", "1"},
	{"a | b", "The bits set in one of two integers or in both.", "5 | 3", "7"},
	{"a # b", "The bits set in one of two integers alone.", "5 # 3", "6"},
	{"~ a", "The bits of an integer turned over.", "~5", "-6"},
	{"a << n", "The bits of an integer n places up; those that leave its width are gone.", "5 << 2", "20"},
	{"a >> n", "The bits of an integer n places down; the sign stays.", "-16 >> 2", "-4"},
	{"a + b", "The sum. Integers that overflow reject the row; decimals get a digit more; a date and an integer are a date so many days on.", "1.50 + 2", "3.50"},
	{"a - b", "The difference; of two dates the days between them.", "DATE '2026-11-22' - DATE '2026-11-01'", "21"},
	{"a * b", "The product; the decimal places of two decimals add up.", "1.5 * 0.25", "0.375"},
	{"a / b", "The quotient: of integers without its fraction, of decimals with up to 16 places. Division by zero rejects the row.", "7 / 2", "3"},
	{"a % b", "The remainder, with the sign of a.", "-7 % 3", "-1"},
	{"a ^ b", "a raised to b, as float64.", "2 ^ 10", "1024"},
	{"- a", "The number with the other sign.", "- (-3)", "3"},
	{"+ a", "The number itself.", "+ 3", "3"},
	{"a::type", "A value as another type; what it cannot hold exactly rejects the row. Also CAST(a AS type).", "'12'::int", "12"},
	{"list[n]", "An element, counted from 1, or from the end for a negative n; null if there is none.", "(ARRAY['a', 'b'])[2]", "b"},
	{"list[n:m]", "The elements from one place to another; either may be left out.", "array_to_string((ARRAY[1, 2, 3])[2:], ',')", "2,3"},
	{"ARRAY[a, …]", "A list of values of one type.", "array_to_string(ARRAY[1, 2], ',')", "1,2"},
	{"(struct).field", "A field of a struct; of a struct column written column.field.", "(named_struct('a', 1)).a", "1"},
	{"CASE WHEN c THEN x … [ELSE y] END", "The value behind the first condition that is true, else that behind ELSE or null. Branches that are not taken are not evaluated.", "CASE WHEN 1 > 2 THEN 'a' ELSE 'b' END", "b"},
	{"CASE a WHEN x THEN y … [ELSE z] END", "The same with a = x for each condition.", "CASE 2 WHEN 1 THEN 'one' WHEN 2 THEN 'two' END", "two"},
}
