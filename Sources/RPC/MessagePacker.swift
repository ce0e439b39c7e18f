// A message on its way out that is worth compressing: slice by slice, and as it is when that does not make it shorter.
//
//   plain    [prefix: 5][message]      what is sent if the other gets no shorter
//   packed   [prefix: 5][compressed]
internal import HTTP

final class MessagePacker {
  private enum State { case working, shorter, longer }
  private static let prefixCount = MessageAssembler.prefixCount

  private var plain = ByteBuffer()
  private var packed = ByteBuffer()
  private var compressor: Compressor?
  /// Bytes of the message that have been read.
  private var at = 0
  private var state = State.working

  /// Nil: no memory for the message.
  init?(
    _ byteCount: Int, _ compression: MessageCompression, with codecs: inout Codecs, _ fill: (inout OutputRawSpan) -> Void
  ) {
    guard plain.append(messageOf: byteCount, fill) else { return nil }
    compressor = codecs.takeCompressor(compression.coding)
    compressor?.begin()
    if compressor == nil || !packed.append(byteCount: MessagePacker.prefixCount, { _ in }) { state = .longer }
  }

  /// Bytes held, in every form.
  var heldBytes: Int { plain.count + packed.count }

  /// Does a slice of it. False: there is no more to do.
  func advance(_ slice: CodecSlice) -> Bool {
    if state != .working { return false }
    var message = ByteBuffer()
    swap(&message, &plain)
    defer { swap(&message, &plain) }
    let bytes = message.bytes.extracting(droppingFirst: MessagePacker.prefixCount)
    switch compressor!.advance(bytes, &at, into: &packed, end: message.count - 1, slice) {
    case .more: return true
    case .done: state = .shorter
    case .gaveUp: state = .longer
    }
    return false
  }

  /// The message as it is sent, prefix first. Once, when there is no more to do.
  func finish(_ codecs: inout Codecs) -> ByteBuffer {
    if let compressor = compressor.take() { codecs.give(compressor) }
    var message = ByteBuffer()
    if state != .shorter {
      swap(&message, &plain)
      return message
    }
    swap(&message, &packed)
    let length = message.count - MessagePacker.prefixCount
    message.replaceFirst(MessagePacker.prefixCount) { $0.appendPrefix(messageLength: length, isCompressed: true) }
    return message
  }
}
