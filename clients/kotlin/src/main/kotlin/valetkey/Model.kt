package valetkey

/** A model that the user's plan has. */
public data class Model(
    /** `owner/model`. */
    public val id: String,
    /** The most that one image costs, as a decimal number. */
    public val credits: String,
    /** The rules for the members of its input, by name. */
    public val input: Map<String, InputRule>,
)

/** A rule for one member of a model's input. A null means that the rule says nothing about it. */
public data class InputRule(
    /** `string`, `integer`, `number`, `boolean` or `array`. */
    public val type: String,
    public val isRequired: Boolean = false,
    /** The value that the API adds if the member is absent: a string, number, boolean or list. */
    public val default: Any? = null,
    /** The only values that are allowed. */
    public val allowed: List<Any?>? = null,
    public val min: Double? = null,
    public val max: Double? = null,
    /** In characters. */
    public val maxLength: Long? = null,
    /** The rule for each item of an array. */
    public val items: InputRule? = null,
    public val maxItems: Long? = null,
    /** `https-url`, or `file` for the ID of an uploaded file. */
    public val format: String? = null,
)

internal fun modelOf(value: Any?): Model = Members(value).run { Model(text("id"), text("credits"), each("input").mapValues { ruleOf(Members(it.value)) }) }

internal fun modelsOf(value: Any?): List<Model> = Members(value).list("data").map(::modelOf)

internal fun creditsOf(value: Any?): String = Members(value).text("credits")

private fun ruleOf(members: Members): InputRule = InputRule(
    type = members.text("type"),
    isRequired = members.flag("required"),
    default = members.value("default"),
    allowed = members.value("enum") as? List<*>,
    min = members.optionalNumber("min")?.toDouble(),
    max = members.optionalNumber("max")?.toDouble(),
    maxLength = members.optionalNumber("max_length")?.toLong(),
    items = members.optional("items")?.let(::ruleOf),
    maxItems = members.optionalNumber("max_items")?.toLong(),
    format = members.optionalText("format"),
)
