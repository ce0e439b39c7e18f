
#
counter_from_hundredget_counter