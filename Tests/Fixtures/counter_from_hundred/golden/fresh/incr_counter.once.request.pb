
$
counter_from_hundredincr_counter