

unaryserving_defaultg
xb*TÈnÀô*]?RÃÀˆ<?
I9>¤O$ÀúYœ¿6Œ À9÷'?yV™?Î*@w@C?Ô û?şÏô>
v?Ğ@:OS@nˆI¿ºD?4QÎ?¯W†¿