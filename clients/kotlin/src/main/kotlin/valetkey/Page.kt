package valetkey

/** One page of a list, newest first. */
public data class Page<out T>(
    public val data: List<T>,
    /** The `cursor` of the next page; null on the last one. */
    public val nextCursor: String?,
)

internal fun <T> pageOf(value: Any?, read: (Any?) -> T): Page<T> = Members(value).run { Page(list("data").map(read), optionalText("next_cursor")) }
