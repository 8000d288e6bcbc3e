package valetkey

/** A response without a member that every response of its kind has. */
internal class ShapeException(name: String) : Exception("no $name in the response")

/** The members of a parsed JSON object. Unknown ones are ignored. */
internal class Members(value: Any?) {
    private val members = value as? Map<*, *> ?: throw ShapeException("object")

    fun text(name: String): String = optionalText(name) ?: throw ShapeException(name)
    fun optionalText(name: String): String? = members[name] as? String
    fun list(name: String): List<Any?> = members[name] as? List<*> ?: throw ShapeException(name)
    fun texts(name: String): List<String> = list(name).filterIsInstance<String>()
    fun number(name: String): Number = optionalNumber(name) ?: throw ShapeException(name)
    fun optionalNumber(name: String): Number? = members[name] as? Number
    fun flag(name: String): Boolean = members[name] == true
    fun value(name: String): Any? = members[name]
    fun each(name: String): Map<String, Any?> = required(name).members.entries.associate { (key, value) -> key as String to value }
    fun required(name: String): Members = optional(name) ?: throw ShapeException(name)
    fun optional(name: String): Members? = members[name]?.let(::Members)
}
