package valetkey

/** A file that the user uploaded. [fileId] is the value of an input whose rule has `"format":"file"`. */
public data class StoredFile(
    public val fileId: String,
    public val contentType: String,
    public val bytes: Long,
    public val createdAt: String,
)

internal fun storedFileOf(value: Any?): StoredFile = Members(value).run {
    StoredFile(text("file_id"), text("content_type"), number("bytes").toLong(), text("created_at"))
}
