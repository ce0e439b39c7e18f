/// The compressors and decompressors of one loop: made when one is first needed, used again for every message after it.
@safe public struct Codecs: ~Copyable {
  private var deflater: Compressor?
  private var gzipper: Compressor?
  private var inflater: Decompressor?
  private var gunzipper: Decompressor?

  public init() {}

  /// Without it the optimiser (6.3) stops at the loop's setter for this type.
  deinit {}

  /// See `Compressor.compress`; false as well when there is no memory for zlib.
  public mutating func compress(_ input: RawSpan, _ coding: ContentCoding, into output: inout ByteBuffer, limit: Int) -> Bool {
    switch coding {
    case .deflate:
      if deflater == nil { deflater = Compressor(.deflate) }
      return deflater?.compress(input, into: &output, limit: limit) ?? false
    case .gzip:
      if gzipper == nil { gzipper = Compressor(.gzip) }
      return gzipper?.compress(input, into: &output, limit: limit) ?? false
    }
  }

  /// See `Decompressor.decompress`.
  public mutating func decompress(
    _ input: RawSpan, _ coding: ContentCoding, into output: inout ByteBuffer, limit: Int
  ) -> Decompressor.Failure? {
    switch coding {
    case .deflate:
      if inflater == nil { inflater = Decompressor(.deflate) }
      if inflater == nil { return .outOfMemory }
      return inflater!.decompress(input, into: &output, limit: limit)
    case .gzip:
      if gunzipper == nil { gunzipper = Decompressor(.gzip) }
      if gunzipper == nil { return .outOfMemory }
      return gunzipper!.decompress(input, into: &output, limit: limit)
    }
  }

  /// Gives a decompressor away, for a message that takes more than one call; nil when there is no memory for it.
  public mutating func takeDecompressor(_ coding: ContentCoding) -> Decompressor? {
    let kept = coding == .gzip ? gunzipper.take() : inflater.take()
    return kept ?? Decompressor(coding)
  }

  public mutating func give(_ decompressor: consuming Decompressor) {
    if decompressor.coding == .gzip { gunzipper = consume decompressor } else { inflater = consume decompressor }
  }

  /// The same for a compressor.
  public mutating func takeCompressor(_ coding: ContentCoding) -> Compressor? {
    let kept = coding == .gzip ? gzipper.take() : deflater.take()
    return kept ?? Compressor(coding)
  }

  public mutating func give(_ compressor: consuming Compressor) {
    if compressor.coding == .gzip { gzipper = consume compressor } else { deflater = consume compressor }
  }
}
