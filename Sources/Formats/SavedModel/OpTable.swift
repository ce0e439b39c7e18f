// The arguments of the ops a graph may hold, as TensorFlow registers them: what the importer holds a file against, so that
// no kernel meets a node with too few inputs or with inputs of another type. A file's own list of ops is not to be trusted for
// that, and some files have none.
//
//   Split split_dim:int32 value:$T -> output:num_split*$T        $T: the type attribute T names; num_split*: that many
//   IdentityN input:$T[] -> output:$T[]                          []: one of each type the attribute T lists
//   Shape input:$T -> output:$out_type out_type=int32            the attribute's default
//
// Protos/op_table.py writes it.
import Tensors

extension OpDefinition {
  /// The ops of the table, by name.
  static let registered: [String: OpDefinition] = {
    var definitions: [String: OpDefinition] = [:]
    for line in table.split(separator: "\n") {
      let words = line.split(separator: " ")
      definitions[String(words[0])] = OpDefinition(words.dropFirst())
    }
    return definitions
  }()

  private init(_ words: ArraySlice<Substring>) {
    var isOutput = false
    for word in words {
      if word == "->" {
        isOutput = true
      } else if let equals = word.firstIndex(of: "=") {
        let value = word[word.index(after: equals)...]
        defaults[String(word[..<equals])] =
          if let number = Int(value) { .number(number) } else { .type(OpArgument.types[String(value)]!) }
      } else if isOutput {
        outputs.append(OpArgument(word))
      } else {
        inputs.append(OpArgument(word))
      }
    }
  }

  private static let table = """
    Abs x:$T -> y:$T
    AccumulateNV2 inputs:N*$T -> sum:$T
    Acos x:$T -> y:$T
    Acosh x:$T -> y:$T
    Add x:$T y:$T -> z:$T
    AddN inputs:N*$T -> sum:$T
    AddV2 x:$T y:$T -> z:$T
    All input:bool reduction_indices:$Tidx -> output:bool Tidx=int32
    AnonymousHashTable -> table_handle:resource
    AnonymousMutableDenseHashTable empty_key:$key_dtype deleted_key:$key_dtype -> table_handle:resource
    AnonymousMutableHashTable -> table_handle:resource
    AnonymousMutableHashTableOfTensors -> table_handle:resource
    Any input:bool reduction_indices:$Tidx -> output:bool Tidx=int32
    ApproximateEqual x:$T y:$T -> z:bool
    ArgMax input:$T dimension:$Tidx -> output:$output_type Tidx=int32 output_type=int64
    ArgMin input:$T dimension:$Tidx -> output:$output_type Tidx=int32 output_type=int64
    AsString input:$T -> output:string
    Asin x:$T -> y:$T
    Asinh x:$T -> y:$T
    Assert condition:bool data:$T[] ->
    Assign ref:$T value:$T -> output_ref:$T
    AssignAdd ref:$T value:$T -> output_ref:$T
    AssignAddVariableOp resource:resource value:$dtype ->
    AssignSub ref:$T value:$T -> output_ref:$T
    AssignSubVariableOp resource:resource value:$dtype ->
    AssignVariableOp resource:resource value:$dtype ->
    Atan x:$T -> y:$T
    Atan2 y:$T x:$T -> z:$T
    Atanh x:$T -> y:$T
    AvgPool value:$T -> output:$T
    AvgPool3D input:$T -> output:$T
    BatchMatMul x:$T y:$T -> output:$T
    BatchMatMulV2 x:$T y:$T -> output:$T
    BatchMatMulV3 x:$Ta y:$Tb -> output:$Tout
    BatchToSpaceND input:$T block_shape:$Tblock_shape crops:$Tcrops -> output:$T Tblock_shape=int32 Tcrops=int32
    Betainc a:$T b:$T x:$T -> z:$T
    BiasAdd value:$T bias:$T -> output:$T
    BiasAddV1 value:$T bias:$T -> output:$T
    Bincount arr:int32 size:int32 weights:$T -> bins:$T
    Bitcast input:$T -> output:$type
    BitwiseAnd x:$T y:$T -> z:$T
    BitwiseOr x:$T y:$T -> z:$T
    BitwiseXor x:$T y:$T -> z:$T
    BroadcastArgs s0:$T s1:$T -> r0:$T T=int32
    BroadcastTo input:$T shape:$Tidx -> output:$T Tidx=int32
    Bucketize input:$T -> output:int32
    Case branch_index:int32 input:$Tin[] -> output:$Tout[]
    Cast x:$SrcT -> y:$DstT
    Ceil x:$T -> y:$T
    CheckNumerics tensor:$T -> output:$T
    CheckNumericsV2 tensor:$T -> output:$T
    ClipByValue t:$T clip_value_min:$T clip_value_max:$T -> output:$T
    Concat concat_dim:int32 values:N*$T -> output:$T
    ConcatOffset concat_dim:int32 shape:N*$shape_type -> offset:N*$shape_type shape_type=int32
    ConcatV2 values:N*$T axis:$Tidx -> output:$T Tidx=int32
    Conj input:$T -> output:$T T=complex64
    ConjugateTranspose x:$T perm:$Tperm -> y:$T Tperm=int32
    Const -> output:$dtype
    Conv2D input:$T filter:$T -> output:$T
    Conv2DBackpropInput input_sizes:int32 filter:$T out_backprop:$T -> output:$T
    Conv3D input:$T filter:$T -> output:$T
    Conv3DBackpropInputV2 input_sizes:$Tshape filter:$T out_backprop:$T -> output:$T Tshape=int32
    Cos x:$T -> y:$T
    Cosh x:$T -> y:$T
    CountUpTo ref:$T -> output:$T
    Cumprod x:$T axis:$Tidx -> out:$T Tidx=int32
    Cumsum x:$T axis:$Tidx -> out:$T Tidx=int32
    DecodeBase64 input:string -> output:string
    DecodeCSV records:string record_defaults:$OUT_TYPE[] -> output:$OUT_TYPE[]
    DecodePaddedRaw input_bytes:string fixed_length:int32 -> output:$out_type
    DecodeRaw bytes:string -> output:$out_type
    DenseBincount input:$Tidx size:$Tidx weights:$T -> output:$T
    DenseCountSparseOutput values:$T weights:$output_type -> output_indices:int64 output_values:$output_type output_dense_shape:int64
    DenseToDenseSetOperation set1:$T set2:$T -> result_indices:int64 result_values:$T result_shape:int64
    DenseToSparseSetOperation set1:$T set2_indices:int64 set2_values:$T set2_shape:int64 -> result_indices:int64 result_values:$T result_shape:int64
    DepthToSpace input:$T -> output:$T
    DepthwiseConv2dNative input:$T filter:$T -> output:$T
    DestroyResourceOp resource:resource ->
    Diag diagonal:$T -> output:$T
    DiagPart input:$T -> diagonal:$T
    Digamma x:$T -> y:$T
    DisableCopyOnRead resource:resource ->
    Div x:$T y:$T -> z:$T
    DivNoNan x:$T y:$T -> z:$T
    DynamicPartition data:$T partitions:int32 -> outputs:num_partitions*$T
    DynamicStitch indices:N*int32 data:N*$T -> merged:$T
    Einsum inputs:N*$T -> output:$T
    Elu features:$T -> activations:$T
    Empty shape:int32 -> output:$dtype
    EmptyTensorList element_shape:$shape_type max_num_elements:int32 -> handle:variant
    EncodeBase64 input:string -> output:string
    EnsureShape input:$T -> output:$T
    Enter data:$T -> output:$T
    Equal x:$T y:$T -> z:bool
    Erf x:$T -> y:$T
    Erfc x:$T -> y:$T
    Erfinv x:$T -> y:$T
    EuclideanNorm input:$T reduction_indices:$Tidx -> output:$T Tidx=int32
    Exit data:$T -> output:$T
    Exp x:$T -> y:$T
    ExpandDims input:$T dim:$Tdim -> output:$T Tdim=int32
    Expm1 x:$T -> y:$T
    Fill dims:$index_type value:$T -> output:$T index_type=int32
    Fingerprint data:$T method:string -> fingerprint:uint8
    Floor x:$T -> y:$T
    FloorDiv x:$T y:$T -> z:$T
    FloorMod x:$T y:$T -> z:$T
    FusedBatchNorm x:$T scale:$T offset:$T mean:$T variance:$T -> y:$T batch_mean:$T batch_variance:$T reserve_space_1:$T reserve_space_2:$T
    FusedBatchNormV2 x:$T scale:$U offset:$U mean:$U variance:$U -> y:$T batch_mean:$U batch_variance:$U reserve_space_1:$U reserve_space_2:$U
    FusedBatchNormV3 x:$T scale:$U offset:$U mean:$U variance:$U -> y:$T batch_mean:$U batch_variance:$U reserve_space_1:$U reserve_space_2:$U reserve_space_3:$U
    Gather params:$Tparams indices:$Tindices -> output:$Tparams
    GatherNd params:$Tparams indices:$Tindices -> output:$Tparams
    GatherV2 params:$Tparams indices:$Tindices axis:$Taxis -> output:$Tparams
    Greater x:$T y:$T -> z:bool
    GreaterEqual x:$T y:$T -> z:bool
    HashTable -> table_handle:string
    HashTableV2 -> table_handle:resource
    Identity input:$T -> output:$T
    IdentityN input:$T[] -> output:$T[]
    If cond:$Tcond input:$Tin[] -> output:$Tout[]
    Imag input:$T -> output:$Tout T=complex64 Tout=float
    InTopK predictions:float targets:$T -> precision:bool T=int32
    InTopKV2 predictions:float targets:$T k:$T -> precision:bool T=int32
    InitializeTable table_handle:string keys:$Tkey values:$Tval ->
    InitializeTableFromTextFile table_handle:string filename:string ->
    InitializeTableFromTextFileV2 table_handle:resource filename:string ->
    InitializeTableV2 table_handle:resource keys:$Tkey values:$Tval ->
    Inv x:$T -> y:$T
    Invert x:$T -> y:$T
    InvertPermutation x:$T -> y:$T T=int32
    IsFinite x:$T -> y:bool
    IsInf x:$T -> y:bool
    IsNan x:$T -> y:bool
    IsVariableInitialized ref:$dtype -> is_initialized:bool
    L2Loss t:$T -> output:$T
    LRN input:$T -> output:$T T=float
    LeakyRelu features:$T -> activations:$T T=float
    LeftShift x:$T y:$T -> z:$T
    Less x:$T y:$T -> z:bool
    LessEqual x:$T y:$T -> z:bool
    Lgamma x:$T -> y:$T
    LinSpace start:$T stop:$T num:$Tidx -> output:$T Tidx=int32
    ListDiff x:$T y:$T -> out:$T idx:$out_idx out_idx=int32
    Log x:$T -> y:$T
    Log1p x:$T -> y:$T
    LogSoftmax logits:$T -> logsoftmax:$T
    LogicalAnd x:bool y:bool -> z:bool
    LogicalNot x:bool -> y:bool
    LogicalOr x:bool y:bool -> z:bool
    LookupTableExport table_handle:string -> keys:$Tkeys values:$Tvalues
    LookupTableExportV2 table_handle:resource -> keys:$Tkeys values:$Tvalues
    LookupTableFind table_handle:string keys:$Tin default_value:$Tout -> values:$Tout
    LookupTableFindV2 table_handle:resource keys:$Tin default_value:$Tout -> values:$Tout
    LookupTableImport table_handle:string keys:$Tin values:$Tout ->
    LookupTableImportV2 table_handle:resource keys:$Tin values:$Tout ->
    LookupTableInsert table_handle:string keys:$Tin values:$Tout ->
    LookupTableInsertV2 table_handle:resource keys:$Tin values:$Tout ->
    LookupTableRemoveV2 table_handle:resource keys:$Tin ->
    LookupTableSize table_handle:string -> size:int64
    LookupTableSizeV2 table_handle:resource -> size:int64
    LoopCond input:bool -> output:bool
    LowerBound sorted_inputs:$T values:$T -> output:$out_type out_type=int32
    MatMul a:$T b:$T -> product:$T
    MatrixBandPart input:$T num_lower:$Tindex num_upper:$Tindex -> band:$T Tindex=int64
    MatrixDiag diagonal:$T -> output:$T
    MatrixDiagPart input:$T -> diagonal:$T
    MatrixDiagPartV2 input:$T k:int32 padding_value:$T -> diagonal:$T
    MatrixDiagPartV3 input:$T k:int32 padding_value:$T -> diagonal:$T
    MatrixDiagV2 diagonal:$T k:int32 num_rows:int32 num_cols:int32 padding_value:$T -> output:$T
    MatrixDiagV3 diagonal:$T k:int32 num_rows:int32 num_cols:int32 padding_value:$T -> output:$T
    MatrixSetDiag input:$T diagonal:$T -> output:$T
    Max input:$T reduction_indices:$Tidx -> output:$T Tidx=int32
    MaxPool input:$T -> output:$T T=float
    MaxPool3D input:$T -> output:$T
    MaxPoolV2 input:$T ksize:int32 strides:int32 -> output:$T T=float
    Maximum x:$T y:$T -> z:$T
    Mean input:$T reduction_indices:$Tidx -> output:$T Tidx=int32
    Merge inputs:N*$T -> output:$T value_index:int32
    MergeV2Checkpoints checkpoint_prefixes:string destination_prefix:string ->
    Min input:$T reduction_indices:$Tidx -> output:$T Tidx=int32
    Minimum x:$T y:$T -> z:$T
    MirrorPad input:$T paddings:$Tpaddings -> output:$T Tpaddings=int32
    Mod x:$T y:$T -> z:$T
    Mul x:$T y:$T -> z:$T
    MulNoNan x:$T y:$T -> z:$T
    MutableDenseHashTable empty_key:$key_dtype -> table_handle:string
    MutableDenseHashTableV2 empty_key:$key_dtype deleted_key:$key_dtype -> table_handle:resource
    MutableHashTable -> table_handle:string
    MutableHashTableOfTensors -> table_handle:string
    MutableHashTableOfTensorsV2 -> table_handle:resource
    MutableHashTableV2 -> table_handle:resource
    Ndtri x:$T -> y:$T
    Neg x:$T -> y:$T
    NextAfter x1:$T x2:$T -> output:$T T=float
    NextIteration data:$T -> output:$T
    NoOp ->
    NotEqual x:$T y:$T -> z:bool
    OneHot indices:$TI depth:int32 on_value:$T off_value:$T -> output:$T TI=int64
    OnesLike x:$T -> y:$T
    Pack values:N*$T -> output:$T
    Pad input:$T paddings:$Tpaddings -> output:$T Tpaddings=int32
    PadV2 input:$T paddings:$Tpaddings constant_values:$T -> output:$T Tpaddings=int32
    ParallelDynamicStitch indices:N*int32 data:N*$T -> merged:$T
    ParseExample serialized:string names:string sparse_keys:Nsparse*string dense_keys:Ndense*string dense_defaults:$Tdense[] -> sparse_indices:Nsparse*int64 sparse_values:$sparse_types[] sparse_shapes:Nsparse*int64 dense_values:$Tdense[]
    ParseExampleV2 serialized:string names:string sparse_keys:string dense_keys:string ragged_keys:string dense_defaults:$Tdense[] -> sparse_indices:num_sparse*int64 sparse_values:$sparse_types[] sparse_shapes:num_sparse*int64 dense_values:$Tdense[] ragged_values:$ragged_value_types[] ragged_row_splits:$ragged_split_types[]
    ParseSequenceExample serialized:string debug_name:string context_dense_defaults:$Tcontext_dense[] -> context_sparse_indices:Ncontext_sparse*int64 context_sparse_values:$context_sparse_types[] context_sparse_shapes:Ncontext_sparse*int64 context_dense_values:$Tcontext_dense[] feature_list_sparse_indices:Nfeature_list_sparse*int64 feature_list_sparse_values:$feature_list_sparse_types[] feature_list_sparse_shapes:Nfeature_list_sparse*int64 feature_list_dense_values:$feature_list_dense_types[] feature_list_dense_lengths:Nfeature_list_dense*int64 Ncontext_sparse=0 Nfeature_list_sparse=0 Nfeature_list_dense=0
    ParseSequenceExampleV2 serialized:string debug_name:string context_sparse_keys:string context_dense_keys:string context_ragged_keys:string feature_list_sparse_keys:string feature_list_dense_keys:string feature_list_ragged_keys:string feature_list_dense_missing_assumed_empty:bool context_dense_defaults:$Tcontext_dense[] -> context_sparse_indices:Ncontext_sparse*int64 context_sparse_values:$context_sparse_types[] context_sparse_shapes:Ncontext_sparse*int64 context_dense_values:$Tcontext_dense[] context_ragged_values:$context_ragged_value_types[] context_ragged_row_splits:$context_ragged_split_types[] feature_list_sparse_indices:Nfeature_list_sparse*int64 feature_list_sparse_values:$feature_list_sparse_types[] feature_list_sparse_shapes:Nfeature_list_sparse*int64 feature_list_dense_values:$feature_list_dense_types[] feature_list_dense_lengths:Nfeature_list_dense*int64 feature_list_ragged_values:$feature_list_ragged_value_types[] feature_list_ragged_outer_splits:$feature_list_ragged_split_types[] feature_list_ragged_inner_splits:$feature_list_ragged_split_types[] Ncontext_sparse=0 Nfeature_list_sparse=0 Nfeature_list_dense=0
    ParseSingleExample serialized:string dense_defaults:$Tdense[] -> sparse_indices:num_sparse*int64 sparse_values:$sparse_types[] sparse_shapes:num_sparse*int64 dense_values:$Tdense[]
    ParseSingleSequenceExample serialized:string feature_list_dense_missing_assumed_empty:string context_sparse_keys:Ncontext_sparse*string context_dense_keys:Ncontext_dense*string feature_list_sparse_keys:Nfeature_list_sparse*string feature_list_dense_keys:Nfeature_list_dense*string context_dense_defaults:$Tcontext_dense[] debug_name:string -> context_sparse_indices:Ncontext_sparse*int64 context_sparse_values:$context_sparse_types[] context_sparse_shapes:Ncontext_sparse*int64 context_dense_values:$Tcontext_dense[] feature_list_sparse_indices:Nfeature_list_sparse*int64 feature_list_sparse_values:$feature_list_sparse_types[] feature_list_sparse_shapes:Nfeature_list_sparse*int64 feature_list_dense_values:$feature_list_dense_types[] Ncontext_sparse=0 Ncontext_dense=0 Nfeature_list_sparse=0 Nfeature_list_dense=0
    ParseTensor serialized:string -> output:$out_type
    PartitionedCall args:$Tin[] -> output:$Tout[]
    Placeholder -> output:$dtype
    PlaceholderWithDefault input:$dtype -> output:$dtype
    Pow x:$T y:$T -> z:$T
    PreventGradient input:$T -> output:$T
    Print input:$T data:$U[] -> output:$T
    PrintV2 input:string ->
    Prod input:$T reduction_indices:$Tidx -> output:$T Tidx=int32
    RaggedBincount splits:int64 values:$Tidx size:$Tidx weights:$T -> output:$T
    RaggedCountSparseOutput splits:int64 values:$T weights:$output_type -> output_indices:int64 output_values:$output_type output_dense_shape:int64
    RaggedCross ragged_values:$ragged_values_types[] ragged_row_splits:$ragged_splits_types[] sparse_indices:Nsparse*int64 sparse_values:$sparse_values_types[] sparse_shape:Nsparse*int64 dense_inputs:$dense_types[] -> output_values:$out_values_type output_row_splits:$out_row_splits_type
    RaggedFillEmptyRows value_rowids:int64 values:$T nrows:int64 default_value:$T -> output_value_rowids:int64 output_values:$T empty_row_indicator:bool reverse_index_map:int64
    RaggedGather params_nested_splits:PARAMS_RAGGED_RANK*$Tsplits params_dense_values:$Tvalues indices:$Tindices -> output_nested_splits:OUTPUT_RAGGED_RANK*$Tsplits output_dense_values:$Tvalues Tsplits=int64
    RaggedRange starts:$T limits:$T deltas:$T -> rt_nested_splits:$Tsplits rt_dense_values:$T T=int32 Tsplits=int64
    RaggedTensorFromVariant encoded_ragged:variant -> output_nested_splits:output_ragged_rank*$Tsplits output_dense_values:$Tvalues Tsplits=int64
    RaggedTensorToSparse rt_nested_splits:RAGGED_RANK*$Tsplits rt_dense_values:$T -> sparse_indices:int64 sparse_values:$T sparse_dense_shape:int64 Tsplits=int64
    RaggedTensorToTensor shape:$Tshape values:$T default_value:$T row_partition_tensors:num_row_partition_tensors*$Tindex -> result:$T
    RaggedTensorToVariant rt_nested_splits:RAGGED_RANK*$Tsplits rt_dense_values:$Tvalues -> encoded_ragged:variant Tsplits=int64
    RandomStandardNormal shape:$T -> output:$dtype
    RandomUniform shape:$T -> output:$dtype
    RandomUniformInt shape:$T minval:$Tout maxval:$Tout -> output:$Tout
    Range start:$Tidx limit:$Tidx delta:$Tidx -> output:$Tidx Tidx=int32
    Rank input:$T -> output:int32
    ReadFile filename:string -> contents:string
    ReadVariableOp resource:resource -> value:$dtype
    Real input:$T -> output:$Tout T=complex64 Tout=float
    RealDiv x:$T y:$T -> z:$T
    Reciprocal x:$T -> y:$T
    ReduceJoin inputs:string reduction_indices:int32 -> output:string
    RefEnter data:$T -> output:$T
    RefExit data:$T -> output:$T
    RefIdentity input:$T -> output:$T
    RefMerge inputs:N*$T -> output:$T value_index:int32
    RefNextIteration data:$T -> output:$T
    RefSwitch data:$T pred:bool -> output_false:$T output_true:$T
    RegexFullMatch input:string pattern:string -> output:bool
    RegexReplace input:string pattern:string rewrite:string -> output:string
    Relu features:$T -> activations:$T
    Relu6 features:$T -> activations:$T
    Reshape tensor:$T shape:$Tshape -> output:$T Tshape=int32
    ResizeBilinear images:$T size:int32 -> resized_images:float
    ResizeNearestNeighbor images:$T size:int32 -> resized_images:$T
    ResourceCountUpTo resource:resource -> output:$T
    ResourceGather resource:resource indices:$Tindices -> output:$dtype
    ResourceGatherNd resource:resource indices:$Tindices -> output:$dtype
    ResourceScatterAdd resource:resource indices:$Tindices updates:$dtype ->
    ResourceScatterDiv resource:resource indices:$Tindices updates:$dtype ->
    ResourceScatterMax resource:resource indices:$Tindices updates:$dtype ->
    ResourceScatterMin resource:resource indices:$Tindices updates:$dtype ->
    ResourceScatterMul resource:resource indices:$Tindices updates:$dtype ->
    ResourceScatterNdAdd ref:resource indices:$Tindices updates:$T ->
    ResourceScatterNdMax ref:resource indices:$Tindices updates:$T ->
    ResourceScatterNdMin ref:resource indices:$Tindices updates:$T ->
    ResourceScatterNdSub ref:resource indices:$Tindices updates:$T ->
    ResourceScatterNdUpdate ref:resource indices:$Tindices updates:$T ->
    ResourceScatterSub resource:resource indices:$Tindices updates:$dtype ->
    ResourceScatterUpdate resource:resource indices:$Tindices updates:$dtype ->
    ResourceStridedSliceAssign ref:resource begin:$Index end:$Index strides:$Index value:$T ->
    RestoreV2 prefix:string tensor_names:string shape_and_slices:string -> tensors:$dtypes[]
    ReverseSequence input:$T seq_lengths:$Tlen -> output:$T Tlen=int64
    ReverseV2 tensor:$T axis:$Tidx -> output:$T Tidx=int32
    RightShift x:$T y:$T -> z:$T
    Rint x:$T -> y:$T
    Roll input:$T shift:$Tshift axis:$Taxis -> output:$T
    Round x:$T -> y:$T
    Rsqrt x:$T -> y:$T
    SaveV2 prefix:string tensor_names:string shape_and_slices:string tensors:$dtypes[] ->
    ScatterAdd ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterDiv ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterMax ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterMin ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterMul ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterNd indices:$Tindices updates:$T shape:$Tindices -> output:$T
    ScatterNdAdd ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterNdMax ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterNdMin ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterNdSub ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterNdUpdate ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterSub ref:$T indices:$Tindices updates:$T -> output_ref:$T
    ScatterUpdate ref:$T indices:$Tindices updates:$T -> output_ref:$T
    SegmentMax data:$T segment_ids:$Tindices -> output:$T
    SegmentMean data:$T segment_ids:$Tindices -> output:$T
    SegmentMin data:$T segment_ids:$Tindices -> output:$T
    SegmentProd data:$T segment_ids:$Tindices -> output:$T
    SegmentSum data:$T segment_ids:$Tindices -> output:$T
    Select condition:bool t:$T e:$T -> output:$T
    SelectV2 condition:bool t:$T e:$T -> output:$T
    Selu features:$T -> activations:$T
    SerializeTensor tensor:$T -> serialized:string
    SetSize set_indices:int64 set_values:$T set_shape:int64 -> size:int32
    Shape input:$T -> output:$out_type out_type=int32
    ShapeN input:N*$T -> output:N*$out_type out_type=int32
    ShardedFilename basename:string shard:int32 num_shards:int32 -> filename:string
    Sigmoid x:$T -> y:$T
    Sign x:$T -> y:$T
    Sin x:$T -> y:$T
    Sinh x:$T -> y:$T
    Size input:$T -> output:$out_type out_type=int32
    Slice input:$T begin:$Index size:$Index -> output:$T
    Snapshot input:$T -> output:$T
    Softmax logits:$T -> softmax:$T
    Softplus features:$T -> activations:$T
    Softsign features:$T -> activations:$T
    SpaceToBatchND input:$T block_shape:$Tblock_shape paddings:$Tpaddings -> output:$T Tblock_shape=int32 Tpaddings=int32
    SpaceToDepth input:$T -> output:$T
    SparseAdd a_indices:int64 a_values:$T a_shape:int64 b_indices:int64 b_values:$T b_shape:int64 thresh:$Treal -> sum_indices:int64 sum_values:$T sum_shape:int64
    SparseBincount indices:int64 values:$Tidx dense_shape:int64 size:$Tidx weights:$T -> output:$T
    SparseConcat indices:N*int64 values:N*$T shapes:N*int64 -> output_indices:int64 output_values:$T output_shape:int64
    SparseCountSparseOutput indices:int64 values:$T dense_shape:int64 weights:$output_type -> output_indices:int64 output_values:$output_type output_dense_shape:int64
    SparseCross indices:N*int64 values:$sparse_types[] shapes:N*int64 dense_inputs:$dense_types[] -> output_indices:int64 output_values:$out_type output_shape:int64
    SparseCrossHashed indices:N*int64 values:$sparse_types[] shapes:N*int64 dense_inputs:$dense_types[] num_buckets:int64 strong_hash:bool salt:int64 -> output_indices:int64 output_values:int64 output_shape:int64
    SparseCrossV2 indices:N*int64 values:$sparse_types[] shapes:N*int64 dense_inputs:$dense_types[] sep:string -> output_indices:int64 output_values:string output_shape:int64
    SparseDenseCwiseAdd sp_indices:int64 sp_values:$T sp_shape:int64 dense:$T -> output:$T
    SparseDenseCwiseDiv sp_indices:int64 sp_values:$T sp_shape:int64 dense:$T -> output:$T
    SparseDenseCwiseMul sp_indices:int64 sp_values:$T sp_shape:int64 dense:$T -> output:$T
    SparseFillEmptyRows indices:int64 values:$T dense_shape:int64 default_value:$T -> output_indices:int64 output_values:$T empty_row_indicator:bool reverse_index_map:int64
    SparseReduceMax input_indices:int64 input_values:$T input_shape:int64 reduction_axes:int32 -> output:$T
    SparseReduceMaxSparse input_indices:int64 input_values:$T input_shape:int64 reduction_axes:int32 -> output_indices:int64 output_values:$T output_shape:int64
    SparseReduceSum input_indices:int64 input_values:$T input_shape:int64 reduction_axes:int32 -> output:$T
    SparseReduceSumSparse input_indices:int64 input_values:$T input_shape:int64 reduction_axes:int32 -> output_indices:int64 output_values:$T output_shape:int64
    SparseReorder input_indices:int64 input_values:$T input_shape:int64 -> output_indices:int64 output_values:$T
    SparseReshape input_indices:int64 input_shape:int64 new_shape:int64 -> output_indices:int64 output_shape:int64
    SparseSegmentMean data:$T indices:$Tidx segment_ids:$Tsegmentids -> output:$T Tidx=int32 Tsegmentids=int32
    SparseSegmentMeanWithNumSegments data:$T indices:$Tidx segment_ids:$Tsegmentids num_segments:$Tnumsegments -> output:$T Tidx=int32 Tnumsegments=int32 Tsegmentids=int32
    SparseSegmentSqrtN data:$T indices:$Tidx segment_ids:$Tsegmentids -> output:$T Tidx=int32 Tsegmentids=int32
    SparseSegmentSqrtNWithNumSegments data:$T indices:$Tidx segment_ids:$Tsegmentids num_segments:$Tnumsegments -> output:$T Tidx=int32 Tnumsegments=int32 Tsegmentids=int32
    SparseSegmentSum data:$T indices:$Tidx segment_ids:$Tsegmentids -> output:$T Tidx=int32 Tsegmentids=int32
    SparseSegmentSumWithNumSegments data:$T indices:$Tidx segment_ids:$Tsegmentids num_segments:$Tnumsegments -> output:$T Tidx=int32 Tnumsegments=int32 Tsegmentids=int32
    SparseSlice indices:int64 values:$T shape:int64 start:int64 size:int64 -> output_indices:int64 output_values:$T output_shape:int64
    SparseSoftmax sp_indices:int64 sp_values:$T sp_shape:int64 -> output:$T
    SparseSparseMaximum a_indices:int64 a_values:$T a_shape:int64 b_indices:int64 b_values:$T b_shape:int64 -> output_indices:int64 output_values:$T
    SparseSparseMinimum a_indices:int64 a_values:$T a_shape:int64 b_indices:int64 b_values:$T b_shape:int64 -> output_indices:int64 output_values:$T
    SparseSplit split_dim:int64 indices:int64 values:$T shape:int64 -> output_indices:num_split*int64 output_values:num_split*$T output_shape:num_split*int64
    SparseTensorDenseAdd a_indices:$Tindices a_values:$T a_shape:$Tindices b:$T -> output:$T
    SparseTensorDenseMatMul a_indices:$Tindices a_values:$T a_shape:int64 b:$T -> product:$T Tindices=int64
    SparseToDense sparse_indices:$Tindices output_shape:$Tindices sparse_values:$T default_value:$T -> dense:$T
    SparseToSparseSetOperation set1_indices:int64 set1_values:$T set1_shape:int64 set2_indices:int64 set2_values:$T set2_shape:int64 -> result_indices:int64 result_values:$T result_shape:int64
    Split split_dim:int32 value:$T -> output:num_split*$T
    SplitV value:$T size_splits:$Tlen split_dim:int32 -> output:num_split*$T Tlen=int64
    Sqrt x:$T -> y:$T
    Square x:$T -> y:$T
    SquaredDifference x:$T y:$T -> z:$T
    Squeeze input:$T -> output:$T
    StatefulPartitionedCall args:$Tin[] -> output:$Tout[]
    StatelessCase branch_index:int32 input:$Tin[] -> output:$Tout[]
    StatelessIf cond:$Tcond input:$Tin[] -> output:$Tout[]
    StatelessWhile input:$T[] -> output:$T[]
    StaticRegexFullMatch input:string -> output:bool
    StaticRegexReplace input:string -> output:string
    StopGradient input:$T -> output:$T
    StridedSlice input:$T begin:$Index end:$Index strides:$Index -> output:$T
    StridedSliceAssign ref:$T begin:$Index end:$Index strides:$Index value:$T -> output_ref:$T
    StringFormat inputs:$T[] -> output:string
    StringJoin inputs:N*string -> output:string
    StringLength input:string -> output:int32
    StringLower input:string -> output:string
    StringNGrams data:string data_splits:$Tsplits -> ngrams:string ngrams_splits:$Tsplits Tsplits=int64
    StringSplit input:string delimiter:string -> indices:int64 values:string shape:int64
    StringSplitV2 input:string sep:string -> indices:int64 values:string shape:int64
    StringStrip input:string -> output:string
    StringToHashBucket string_tensor:string -> output:int64
    StringToHashBucketFast input:string -> output:int64
    StringToHashBucketStrong input:string -> output:int64
    StringToNumber string_tensor:string -> output:$out_type out_type=float
    StringUpper input:string -> output:string
    Sub x:$T y:$T -> z:$T
    Substr input:string pos:$T len:$T -> output:string
    Sum input:$T reduction_indices:$Tidx -> output:$T Tidx=int32
    Switch data:$T pred:bool -> output_false:$T output_true:$T
    Tan x:$T -> y:$T
    Tanh x:$T -> y:$T
    TensorArrayCloseV3 handle:resource ->
    TensorArrayConcatV3 handle:resource flow_in:float -> value:$dtype lengths:int64
    TensorArrayGatherV3 handle:resource indices:int32 flow_in:float -> value:$dtype
    TensorArrayReadV3 handle:resource index:int32 flow_in:float -> value:$dtype
    TensorArrayScatterV3 handle:resource indices:int32 value:$T flow_in:float -> flow_out:float
    TensorArraySizeV3 handle:resource flow_in:float -> size:int32
    TensorArraySplitV3 handle:resource value:$T lengths:int64 flow_in:float -> flow_out:float
    TensorArrayV3 size:int32 -> handle:resource flow:float
    TensorArrayWriteV3 handle:resource index:int32 value:$T flow_in:float -> flow_out:float
    TensorListConcatV2 input_handle:variant element_shape:$shape_type leading_dims:int64 -> tensor:$element_dtype lengths:int64
    TensorListElementShape input_handle:variant -> element_shape:$shape_type
    TensorListFromTensor tensor:$element_dtype element_shape:$shape_type -> output_handle:variant
    TensorListGather input_handle:variant indices:int32 element_shape:int32 -> values:$element_dtype
    TensorListGetItem input_handle:variant index:int32 element_shape:$Tshape -> item:$element_dtype Tshape=int32
    TensorListLength input_handle:variant -> length:int32
    TensorListPopBack input_handle:variant element_shape:int32 -> output_handle:variant tensor:$element_dtype
    TensorListPushBack input_handle:variant tensor:$element_dtype -> output_handle:variant
    TensorListReserve element_shape:$shape_type num_elements:int32 -> handle:variant
    TensorListResize input_handle:variant size:int32 -> output_handle:variant
    TensorListScatter tensor:$element_dtype indices:int32 element_shape:$shape_type -> output_handle:variant
    TensorListScatterIntoExistingList input_handle:variant tensor:$element_dtype indices:int32 -> output_handle:variant
    TensorListScatterV2 tensor:$element_dtype indices:int32 element_shape:$shape_type num_elements:int32 -> output_handle:variant
    TensorListSetItem input_handle:variant index:int32 item:$element_dtype -> output_handle:variant
    TensorListSplit tensor:$element_dtype element_shape:$shape_type lengths:int64 -> output_handle:variant
    TensorListStack input_handle:variant element_shape:int32 -> tensor:$element_dtype
    TensorScatterAdd tensor:$T indices:$Tindices updates:$T -> output:$T
    TensorScatterMax tensor:$T indices:$Tindices updates:$T -> output:$T
    TensorScatterMin tensor:$T indices:$Tindices updates:$T -> output:$T
    TensorScatterSub tensor:$T indices:$Tindices updates:$T -> output:$T
    TensorScatterUpdate tensor:$T indices:$Tindices updates:$T -> output:$T
    Tile input:$T multiples:$Tmultiples -> output:$T Tmultiples=int32
    TopK input:$T -> values:$T indices:int32
    TopKV2 input:$T k:$Tk -> values:$T indices:$index_type Tk=int32 index_type=int32
    Transpose x:$T perm:$Tperm -> y:$T Tperm=int32
    TruncateDiv x:$T y:$T -> z:$T
    TruncateMod x:$T y:$T -> z:$T
    TruncatedNormal shape:$T -> output:$dtype
    UnicodeDecode input:string -> row_splits:$Tsplits char_values:int32 Tsplits=int64
    UnicodeDecodeWithOffsets input:string -> row_splits:$Tsplits char_values:int32 char_to_byte_starts:int64 Tsplits=int64
    UnicodeEncode input_values:int32 input_splits:$Tsplits -> output:string Tsplits=int64
    UnicodeTranscode input:string -> output:string
    Unique x:$T -> y:$T idx:$out_idx out_idx=int32
    UniqueV2 x:$T axis:$Taxis -> y:$T idx:$out_idx Taxis=int64 out_idx=int32
    UniqueWithCounts x:$T -> y:$T idx:$out_idx count:$out_idx out_idx=int32
    UniqueWithCountsV2 x:$T axis:$Taxis -> y:$T idx:$out_idx count:$out_idx Taxis=int64 out_idx=int32
    Unpack value:$T -> output:num*$T
    UnsortedSegmentJoin inputs:string segment_ids:$Tindices num_segments:$Tnumsegments -> output:string Tnumsegments=int32
    UnsortedSegmentMax data:$T segment_ids:$Tindices num_segments:$Tnumsegments -> output:$T Tnumsegments=int32
    UnsortedSegmentMin data:$T segment_ids:$Tindices num_segments:$Tnumsegments -> output:$T Tnumsegments=int32
    UnsortedSegmentProd data:$T segment_ids:$Tindices num_segments:$Tnumsegments -> output:$T Tnumsegments=int32
    UnsortedSegmentSum data:$T segment_ids:$Tindices num_segments:$Tnumsegments -> output:$T Tnumsegments=int32
    UpperBound sorted_inputs:$T values:$T -> output:$out_type out_type=int32
    VarHandleOp -> resource:resource
    VarIsInitializedOp resource:resource -> is_initialized:bool
    Variable -> ref:$dtype
    VariableShape input:resource -> output:$out_type out_type=int32
    VariableV2 -> ref:$dtype
    Where input:$T -> index:int64 T=bool
    While input:$T[] -> output:$T[]
    Xdivy x:$T y:$T -> z:$T
    Xlog1py x:$T y:$T -> z:$T
    Xlogy x:$T y:$T -> z:$T
    ZerosLike x:$T -> y:$T
    _Arg -> output:$T
    _FusedConv2D input:$T filter:$T args:$TArgs[] host_args:num_host_args*float -> output:$T num_host_args=0
    _FusedDepthwiseConv2dNative input:$T filter:$T args:num_args*$T -> output:$T
    _FusedMatMul a:$T b:$T args:num_args*$T -> product:$T
"""
    }

extension OpArgument {
  fileprivate static let types = Dictionary(uniqueKeysWithValues: DType.allCases.map { ($0.name, $0) })

  /// Of the table's form. Its text is ours: what does not parse is a bug.
  fileprivate init(_ word: Substring) {
    let colon = word.firstIndex(of: ":")!
    name = String(word[..<colon])
    var type = word[word.index(after: colon)...]
    if let star = type.firstIndex(of: "*") {
      length = .number(String(type[..<star]))
      type = type[type.index(after: star)...]
    }
    if type.hasSuffix("[]") {
      length = .types(String(type.dropFirst().dropLast(2)))
    } else if type.hasPrefix("$") {
      element = .attribute(String(type.dropFirst()))
    } else {
      element = .type(OpArgument.types[String(type)]!)
    }
  }
}
